"""Every method of both services: requests drawn from the contract, and bytes that are none."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import strategies as st

from fuzz.messages import messages, nearly_right
from fuzz.oracle import Wrong, check_status, check_text
from fuzz.world import TIMEOUT, World
from paidup.v1 import admin_service_pb2, billing_service_pb2

SERVICES = (
    billing_service_pb2.DESCRIPTOR.services_by_name["BillingService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
)
METHODS = [method for service in SERVICES for method in service.methods]
#: A stream that says nothing more for so long has said what it has to say.
QUIET = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call as it goes over the wire."""

    method: MethodDescriptor
    request: bytes
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


def inputs(world: World) -> st.SearchStrategy[Call]:
    return st.sampled_from(METHODS).flatmap(lambda method: _calls_of(method, world))


def _calls_of(method: MethodDescriptor, world: World) -> st.SearchStrategy[Call]:
    kind = message_factory.GetMessageClass(method.input_type)
    drawn = st.one_of(nearly_right(kind, world.known), messages(kind, [*world.known.values()]))
    written = drawn.map(lambda message: message.SerializeToString())
    # With bytes appended a message may still be one: of unknown fields.
    bent = st.builds(lambda start, end: start + end, written, st.binary(min_size=1, max_size=10))
    requests = st.one_of(written, written, written, bent, st.binary(max_size=60))
    names = st.sampled_from(["x-request-id", "traceparent", "authorization", "x-any"])
    values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
    metadata = st.lists(st.tuples(names, values.map(str.strip)), max_size=2).map(tuple)
    return st.builds(Call, method=st.just(method), request=requests, metadata=metadata)


async def send(world: World, call: Call) -> str:
    """Send it; give the code it was answered with."""
    try:
        answer = await asyncio.wait_for(_answer(world, call), 2 * TIMEOUT)
    except grpc.aio.AioRpcError as error:
        check_status(error)
        return error.code().name
    _check(call, answer)
    return "OK"


async def _answer(world: World, call: Call) -> bytes:
    if not call.method.server_streaming:
        unary: Any = world.channel.unary_unary(call.path)
        answer: bytes = await unary(call.request, timeout=TIMEOUT, metadata=call.metadata)
        return answer
    streaming: Any = world.channel.unary_stream(call.path)
    stream = streaming(call.request, timeout=TIMEOUT, metadata=call.metadata)
    try:
        async with asyncio.timeout(QUIET):
            first: bytes = await stream.read()
            return first
    except TimeoutError:
        return b""
    finally:
        stream.cancel()


def _check(call: Call, answer: bytes) -> None:
    kind = message_factory.GetMessageClass(call.method.output_type)
    try:
        kind.FromString(answer)
    except DecodeError as error:
        raise Wrong(f"answered what is no {kind.DESCRIPTOR.name}") from error
    if _is_public(kind):
        asked = call.request.decode("latin-1")
        check_text(answer.decode("latin-1"), of=kind.DESCRIPTOR.name, asked=asked)


def _is_public(kind: type[Message]) -> bool:
    """Tell whether the answer has no business with secrets; a checkout's form needs its own."""
    return not any(field.name == "client_secret" for field in kind.DESCRIPTOR.fields)
