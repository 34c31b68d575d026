"""Webhooks until their commit, beside a handler that only checks signatures, and the disk."""

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench import stacks
from bench.load import Run
from bench.storm import Storm, event, signature, storm
from bench.tables import Sizes, Table, percentile, spread

COLUMNS = ("at a time", "", "a second", "p50 ms", "p99 ms", "commits per event")
CUSTOMERS = 20
BATCHES = "paidup_webhook_commit_batch_size"


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=COLUMNS)
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        async with storm(f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}") as running:
            await running.make_customers(min(CUSTOMERS, sizes.events))
            # What it reads meanwhile is another topic: see the storm.
            await running.stack.service.stop()
            peer = ["bench.signed", running.stack.secret]
            async with stacks.process("signed", peer) as bare:
                for callers in sizes.callers:
                    await _beside(running, bare.address, callers, sizes, table)
        flushes = [_flushes_a_second(Path(folder), sizes.seconds) for _ in range(sizes.runs)]
        table.add("1", "flush of 4 KiB to the disk", spread(flushes), "", "", "")
    return table


async def _beside(running: Storm, bare: str, callers: int, sizes: Sizes, table: Table) -> None:
    peers, ours, commits = [], [], []
    for _ in range(sizes.runs):
        peers.append(await _send(running, bare, callers, sizes.events))
        before = await _commits(running)
        ours.append(await _send(running, running.stack.gateway.address, callers, sizes.events))
        commits.append((await _commits(running) - before) / sizes.events)
    table.add(str(callers), "signature only", *_figures(peers), "")
    table.add("", "stored and applied", *_figures(ours), spread(commits, ".2f"))


def _figures(runs: list[Run]) -> tuple[str, str, str]:
    return (
        spread([each.calls_a_second for each in runs]),
        spread([each.p50 for each in runs], ".2f"),
        spread([each.p99 for each in runs], ".2f"),
    )


_numbers = itertools.count()


async def _send(running: Storm, address: str, callers: int, count: int) -> Run:
    """Send so many events, none of which was sent before."""
    subscriptions = list(running.subscriptions.values())
    bodies = iter(
        [
            event(subscriptions[number % len(subscriptions)], f"evt_bench_{next(_numbers)}")
            for number in range(count)
        ]
    )
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_sender(running, address, bodies, took) for _ in range(callers)))
    elapsed = time.perf_counter() - began
    return Run(
        calls_a_second=len(took) / elapsed, p50=percentile(took, 50), p99=percentile(took, 99)
    )


async def _sender(running: Storm, address: str, bodies: Iterator[bytes], took: list[float]) -> None:
    url = f"http://{address}/webhooks/stripe"
    for body in bodies:
        headers = {"Stripe-Signature": signature(body, running.stack.secret)}
        began = time.perf_counter()
        async with running.session.post(url, data=body, headers=headers) as answer:
            answer.raise_for_status()
        took.append((time.perf_counter() - began) * 1000)


async def _commits(running: Storm) -> float:
    url = f"http://{running.stack.gateway.address}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        families = text_string_to_metric_families(await answer.text())
    counted = (each for family in families if family.name == BATCHES for each in family.samples)
    return next(each.value for each in counted if each.name == f"{BATCHES}_count")


def _flushes_a_second(folder: Path, seconds: float) -> float:
    count = 0
    with (folder / "flushed").open("ab", buffering=0) as file:
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)
