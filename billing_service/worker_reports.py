"""Speaks over HTTP for all workers: one address to probe and to scrape."""

import asyncio
import json
from collections.abc import Sequence

import aiohttp
from aiohttp import web
from prometheus_client import REGISTRY, generate_latest

from billing_service.metrics_total import Total
from billing_service.operations_http import exposition, ready_or_not, routed
from billing_service.readiness import STARTING
from billing_service.worker import Worker

#: How long a worker may take to answer, in seconds.
TIMEOUT = aiohttp.ClientTimeout(total=2)
#: Of ours, what no worker knows.
OWN = ["paidup_worker_restarts_total"]


class Reports:
    """What the workers say of themselves, put together."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._total = Total()
        self.draining = False

    def app(self) -> web.Application:
        return routed(metrics=self._metrics, healthz=self._healthz, readyz=self._readyz)

    async def _metrics(self, _request: web.Request) -> web.Response:
        answers = await self._ask_all("metrics")
        # Each process has a socket of its own, so the name of that tells them apart.
        current = {worker.socket.name: text for worker, text in answers if text is not None}
        own = generate_latest(REGISTRY.restricted_registry(OWN)).decode()
        self._total.take(current | {"": own}, living={each.socket.name for each in self._workers})
        return exposition(generate_latest(self._total))

    async def _healthz(self, _request: web.Request) -> web.Response:
        """Alive while every worker that was started answers; one that died is started again."""
        silent = [worker.number for worker, text in await self._ask_all("healthz") if text is None]
        return web.json_response(
            {"alive": not silent, "silent_workers": silent}, status=503 if silent else 200
        )

    async def _readyz(self, _request: web.Request) -> web.Response:
        return ready_or_not("draining" if self.draining else await self._problem())

    async def _problem(self) -> str | None:
        """Tell what keeps any worker from serving; one that has just been started does not count.

        The kernel sends calls to all that listen, so one that cannot serve is one too many.
        """
        answers = [text for _, text in await self._ask_all("readyz")]
        if None in answers:
            return "a worker does not answer"
        told = [json.loads(text)["problem"] for text in answers if text is not None]
        problems = [each for each in told if each not in {None, STARTING}]
        if problems:
            return str(problems[0])
        return None if None in told else STARTING

    async def _ask_all(self, what: str) -> list[tuple[Worker, str | None]]:
        """Ask every worker that listens; None where it does not answer."""
        asked = [each for each in self._workers if each.listening.is_set()]
        answers = await asyncio.gather(*(_ask(each, what) for each in asked))
        return [*zip(asked, answers, strict=True)]


async def _ask(worker: Worker, what: str) -> str | None:
    connector = aiohttp.UnixConnector(str(worker.socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session,
            session.get(f"http://worker/{what}") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return None
