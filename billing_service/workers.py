"""Several processes that serve at one port, so that as many cores answer.

They are started anew, never forked: gRPC does not survive that. The kernel spreads the
connections over them. This process serves no calls: it keeps them running, ends all of
them in order, and speaks for all.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from billing_service.listening import announce, kept
from billing_service.operations_http import served
from billing_service.server import GRACE, first_of, raise_failure, stop_on_signals
from billing_service.settings import ServiceSettings
from billing_service.worker import Worker, WorkerFailed
from billing_service.worker_reports import Reports

log = logging.getLogger(__name__)

#: What a worker may take to leave beyond what its calls in flight may, in seconds.
MARGIN = 5.0

Tasks = Sequence["asyncio.Task[None]"]


async def serve(settings: ServiceSettings, count: int) -> None:
    """Serve with so many processes until SIGTERM or SIGINT.

    Raise `PortTaken`, or `WorkerFailed` where one cannot work at all.
    """
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    with _places(settings, count) as (listen, workers):
        reports = Reports(workers)
        async with served(reports.app(), settings.metrics_listen), _kept_running(workers) as tasks:
            announcing = asyncio.create_task(_announce(listen, workers))
            await first_of(stopping, *tasks)
            announcing.cancel()
            reports.draining = True
            await _leave(workers, tasks, within=settings.drain_seconds + GRACE + MARGIN)
    raise_failure(*tasks)
    log.info("workers_stopped")


@contextmanager
def _places(settings: ServiceSettings, count: int) -> Iterator[tuple[str, list[Worker]]]:
    """Give the address that all share, and a place for each; nobody else may enter the folder."""
    with (
        kept(settings.grpc_listen, "PAIDUP_GRPC_LISTEN") as listen,
        tempfile.TemporaryDirectory(prefix="paidup-") as folder,
    ):
        yield listen, [Worker(number, Path(folder), listen) for number in range(count)]


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


async def _announce(listen: str, workers: Sequence[Worker]) -> None:
    for worker in workers:
        await worker.listening.wait()
    host, _, port = listen.rpartition(":")
    announce("listening on", host, int(port))


async def _leave(workers: Sequence[Worker], tasks: Tasks, *, within: float) -> None:
    """Have all leave in order, and see them gone."""
    for worker in workers:
        worker.leave()
    _, late = await asyncio.wait(tasks, timeout=within)
    if late:
        raise WorkerFailed(f"{len(late)} workers did not leave within {within:.0f} seconds.")
