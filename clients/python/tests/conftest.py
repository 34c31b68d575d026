import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.python.tests.proofs import CALLERS, Secrets
from clients.python.tests.scripted_service import ScriptedService, running
from clients.python.tests.twins import ADMIN_CLIENTS, CLIENTS, Client


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with running() as service:
        yield service


@pytest.fixture(params=CLIENTS)
def client_class(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]


@pytest.fixture
async def client(service: ScriptedService, client_class: Any) -> AsyncIterator[Client]:
    async with client_class(service.address) as client:
        yield client


@pytest.fixture(params=ADMIN_CLIENTS)
async def admin_client(
    service: ScriptedService, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    async with ADMIN_CLIENTS[request.param](service.address) as client:
        yield client


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    found = Secrets(tmp_path)
    found.renew(CALLERS.issue("first"))
    return found


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, logger="paidup.credentials"):
        yield caplog
