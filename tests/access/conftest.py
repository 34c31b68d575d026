import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.serving import Answering, Files, Served, serving
from tests.pki import Authority, Cluster

Running = tuple[Files, Served, Answering]


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_this_machine():
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PAIDUP_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def files(tmp_path, authority, cluster) -> Files:
    """Files of a door that a test may change."""
    return Files.make(tmp_path, authority, cluster)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory, authority, cluster) -> AsyncIterator[Running]:
    """One server behind a door, for tests that change no file."""
    files = Files.make(tmp_path_factory.mktemp("door"), authority, cluster)
    async with serving(files) as (served, answering):
        yield files, served, answering
