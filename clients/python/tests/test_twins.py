import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import pytest
from google.protobuf.message_factory import GetMessageClass

from clients.python.tests.scripted_service import METHODS
from paidup import BillingClient, BlockingBillingClient
from paidup._calls import RPCS, Rpc

SHARED = sorted(
    name for name, value in vars(BillingClient).items() if callable(value) and name[0] != "_"
)
CALLS = sorted(set(SHARED) - {"close", "wait_for_ready"})


def test_both_clients_can_do_the_same() -> None:
    blocking = vars(BlockingBillingClient)

    assert sorted(n for n in blocking if callable(blocking[n]) and n[0] != "_") == SHARED
    assert BillingClient.__init__ is BlockingBillingClient.__init__


@pytest.mark.parametrize("name", SHARED)
def test_both_clients_take_the_same_arguments(name: str) -> None:
    asyncio, blocking = (
        inspect.signature(getattr(client, name))
        for client in (BillingClient, BlockingBillingClient)
    )

    assert asyncio.parameters == blocking.parameters
    returned = asyncio.return_annotation, blocking.return_annotation
    assert returned[0] == returned[1] or returned == (
        AsyncIterator[get_args(returned[0])],
        Iterator[get_args(returned[0])],
    )


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("client", [BillingClient, BlockingBillingClient])
def test_methods_say_what_they_do(client: type[Any], name: str) -> None:
    method = getattr(client, name)

    assert inspect.getdoc(method)
    assert method.__name__ == name
    assert next(iter(inspect.signature(method).parameters)) == "self"
    assert "timeout" in inspect.signature(method).parameters


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_an_rpc_is_described_as_the_contract_has_it(rpc: Rpc[Any]) -> None:
    method = METHODS[rpc.name]

    assert rpc.service == method.containing_service.full_name
    assert rpc.response is GetMessageClass(method.output_type)


def test_only_reads_and_requests_with_an_id_are_repeated() -> None:
    for rpc in RPCS:
        reads = rpc.name.startswith(("Get", "List", "Check", "BatchCheck"))
        has_request_id = "request_id" in METHODS[rpc.name].input_type.fields_by_name
        assert rpc.safe_to_repeat == (reads or has_request_id), rpc.name
