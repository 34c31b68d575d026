"""Several processes that serve at one port, so that as many cores answer.

They are started anew, never forked: gRPC does not survive that. The kernel spreads the
connections over them. This process serves no calls: it keeps them running, ends all of
them in order, and speaks for all.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from billing_service import leaving
from billing_service.listening import LISTENING, TAKING_TOKENS, announce, kept
from billing_service.operations_http import served
from billing_service.server import first_of, raise_failure
from billing_service.settings import ServiceSettings
from billing_service.worker import Worker, WorkerFailed
from billing_service.worker_reports import Reports
from subscription_state.stopping import Stopping

log = logging.getLogger(__name__)

#: How long its process may take to end after a worker has left, in seconds.
MARGIN = 2.0

#: What is announced of an address, by the setting that tells it.
ANNOUNCED = {"PAIDUP_GRPC_LISTEN": LISTENING, "PAIDUP_GRPC_TOKEN_LISTEN": TAKING_TOKENS}

#: By setting, the addresses that all workers serve at.
Shared = Mapping[str, str]
Tasks = Sequence["asyncio.Task[None]"]


async def serve(settings: ServiceSettings, count: int) -> None:
    """Serve with so many processes until SIGTERM or SIGINT.

    Raise `PortTaken`, or `WorkerFailed` where one cannot work at all.
    """
    stopping = Stopping()
    stopping.on_signals()
    with _places(settings, count) as (shared, workers):
        reports = Reports(workers)
        async with served(reports.app(), settings.metrics_listen), _kept_running(workers) as tasks:
            announcing = asyncio.create_task(_announce(shared, workers))
            await first_of(stopping, *tasks)
            announcing.cancel()
            reports.draining = True
            within = leaving.longest(settings.drain_seconds) + MARGIN
            await _leave(workers, tasks, stopping, within=within)
    raise_failure(*tasks)
    log.info("workers_stopped")


@contextmanager
def _places(settings: ServiceSettings, count: int) -> Iterator[tuple[Shared, list[Worker]]]:
    """Give the addresses that all share, and a place for each; nobody else may enter the folder."""
    wanted = {
        "PAIDUP_GRPC_LISTEN": settings.grpc_listen,
        "PAIDUP_GRPC_TOKEN_LISTEN": settings.grpc_token_listen,
    }
    with ExitStack() as opened:
        shared = {
            variable: opened.enter_context(kept(listen, variable))
            for variable, listen in wanted.items()
            if listen is not None
        }
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="paidup-")))
        yield shared, [Worker(number, folder, shared) for number in range(count)]


@asynccontextmanager
async def _kept_running(workers: Sequence[Worker]) -> AsyncIterator[Tasks]:
    tasks = [asyncio.create_task(worker.keep()) for worker in workers]
    try:
        yield tasks
    finally:
        for worker in workers:
            worker.kill()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _announce(shared: Shared, workers: Sequence[Worker]) -> None:
    for worker in workers:
        await worker.listening.wait()
    for variable, listen in shared.items():
        host, _, port = listen.rpartition(":")
        announce(ANNOUNCED[variable], host, int(port))


async def _leave(
    workers: Sequence[Worker], tasks: Tasks, stopping: Stopping, *, within: float
) -> None:
    """Have all leave in order, and see them gone; a hurry is passed on."""
    for worker in workers:
        worker.leave()
    hurrying = asyncio.create_task(_hurry(workers, stopping))
    _, late = await asyncio.wait(tasks, timeout=within)
    hurrying.cancel()
    if late:
        raise WorkerFailed(f"{len(late)} workers did not leave within {within:.0f} seconds.")


async def _hurry(workers: Sequence[Worker], stopping: Stopping) -> None:
    await stopping.hurried.wait()
    for worker in workers:
        worker.leave()
