"""A batch of a hundred checks, beside the echo's answer of a hundred."""

import statistics
from collections.abc import Iterable
from itertools import cycle

from bench import load, stacks
from bench.tables import Sizes, Table, spread
from billing_service.answer_cache import MOST_BYTES
from paidup.v1 import billing_service_pb2 as pb

CHECKS = 100


def _batch(number: int) -> pb.BatchCheckEntitlementsRequest:
    features = (f"feature-{number}-{each}" if each else stacks.FEATURE for each in range(CHECKS))
    return pb.BatchCheckEntitlementsRequest(
        checks=[
            pb.BatchCheckEntitlementsRequest.Check(account_id=stacks.ACCOUNT, feature=feature)
            for feature in features
        ]
    )


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=("16 callers", "checks/s", "p50 ms of a batch", "of the echo's"))
    again = [_batch(0)]
    # More than answers are kept of, so that each is decided and written anew.
    anew = cycle([_batch(number) for number in range(2 * MOST_BYTES // again[0].ByteSize())])
    async with stacks.with_payer() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        loads: dict[str, tuple[str, Iterable[object]]] = {
            "echo": (echo.address, again),
            "BatchCheckEntitlements": (stack.service.address, again),
            "BatchCheckEntitlements, never the same": (stack.service.address, anew),
        }
        runs: dict[str, list[load.Run]] = {name: [] for name in loads}
        for _ in range(sizes.runs):
            for name, (address, requests) in loads.items():
                runs[name].append(
                    await load.run(
                        address,
                        concurrency=16,
                        seconds=sizes.seconds,
                        method="BatchCheckEntitlements",
                        requests=requests,
                    )
                )
    _add(table, runs)
    return table


def _add(table: Table, runs: dict[str, list[load.Run]]) -> None:
    (echo, peers), *others = runs.items()
    table.add(echo, *_figures(peers), "")
    for name, ours in others:
        ratios = [a.calls_a_second / b.calls_a_second for a, b in zip(ours, peers, strict=True)]
        table.add(name, *_figures(ours), f"{statistics.median(ratios):.2f}")


def _figures(runs: list[load.Run]) -> tuple[str, str]:
    rates = [each.calls_a_second * CHECKS for each in runs]
    return spread(rates), spread([each.p50 for each in runs], ".2f")
