import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import pytest
from google.protobuf.message_factory import GetMessageClass

from clients.python.tests.scripted_service import METHODS
from paidup import AdminClient, BillingClient, BlockingAdminClient, BlockingBillingClient
from paidup._admin_calls import RPCS as ADMIN_RPCS
from paidup._calls import RPCS, Rpc
from paidup.v1 import admin_service_pb2 as admin

ALL_RPCS = [*RPCS, *ADMIN_RPCS]

TWINS = [(BillingClient, BlockingBillingClient), (AdminClient, BlockingAdminClient)]


def public(client: type[Any]) -> list[str]:
    return [name for name in dir(client) if callable(getattr(client, name)) and name[0] != "_"]


SHARED = [(*pair, name) for pair in TWINS for name in public(pair[0])]
CALLS = [
    (client, name)
    for asyncio, blocking, name in SHARED
    if name not in {"close", "wait_for_ready"}
    for client in (asyncio, blocking)
]


@pytest.mark.parametrize(("asyncio", "blocking"), TWINS)
def test_both_clients_can_do_the_same(asyncio: type[Any], blocking: type[Any]) -> None:
    assert public(asyncio) == public(blocking)
    assert asyncio.__init__ is blocking.__init__


@pytest.mark.parametrize(("asyncio", "blocking", "name"), SHARED)
def test_both_clients_take_the_same_arguments(
    asyncio: type[Any], blocking: type[Any], name: str
) -> None:
    one, other = (inspect.signature(getattr(client, name)) for client in (asyncio, blocking))

    assert one.parameters == other.parameters
    returned = one.return_annotation, other.return_annotation
    assert returned[0] == returned[1] or returned == (
        AsyncIterator[get_args(returned[0])],
        Iterator[get_args(returned[0])],
    )


@pytest.mark.parametrize(("client", "name"), CALLS)
def test_methods_say_what_they_do(client: type[Any], name: str) -> None:
    method = getattr(client, name)

    assert inspect.getdoc(method)
    assert method.__name__ == name
    assert next(iter(inspect.signature(method).parameters)) == "self"
    assert "timeout" in inspect.signature(method).parameters


def test_the_administration_is_whole() -> None:
    service = admin.DESCRIPTOR.services_by_name["AdminService"]

    assert [rpc.name for rpc in ADMIN_RPCS] == [method.name for method in service.methods]


@pytest.mark.parametrize("rpc", ALL_RPCS, ids=lambda rpc: rpc.name)
def test_an_rpc_is_described_as_the_contract_has_it(rpc: Rpc[Any]) -> None:
    method = METHODS[rpc.name]

    assert rpc.service == method.containing_service.full_name
    assert rpc.response is GetMessageClass(method.output_type)


def test_only_reads_and_requests_with_an_id_are_repeated() -> None:
    for rpc in ALL_RPCS:
        reads = rpc.name.startswith(("Get", "List", "Check", "BatchCheck", "Explain"))
        has_request_id = "request_id" in METHODS[rpc.name].input_type.fields_by_name
        assert rpc.safe_to_repeat == (reads or has_request_id), rpc.name
