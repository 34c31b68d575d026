"""A batch of a hundred checks, beside the echo's answer of a hundred."""

import statistics

from bench import load, stacks
from bench.tables import Sizes, Table, spread
from paidup.v1 import billing_service_pb2 as pb

CHECKS = 100
REQUEST = pb.BatchCheckEntitlementsRequest(
    checks=[
        pb.BatchCheckEntitlementsRequest.Check(
            account_id=stacks.ACCOUNT, feature=f"feature-{number}" if number else stacks.FEATURE
        )
        for number in range(CHECKS)
    ]
)


async def measure(sizes: Sizes) -> Table:
    table = Table(columns=("16 callers", "checks/s", "p50 ms of a batch", "of the echo's"))
    async with stacks.with_payer() as stack, stacks.process("echo", ["bench.echo"]) as echo:
        runs: dict[str, list[load.Run]] = {echo.address: [], stack.service.address: []}
        for _ in range(sizes.runs):
            for address, measured in runs.items():
                measured.append(
                    await load.run(
                        address,
                        concurrency=16,
                        seconds=sizes.seconds,
                        method="BatchCheckEntitlements",
                        requests=[REQUEST],
                    )
                )
        peers, ours = runs.values()
    ratios = [a.calls_a_second / b.calls_a_second for a, b in zip(ours, peers, strict=True)]
    table.add("echo", *_figures(peers), "")
    table.add("BatchCheckEntitlements", *_figures(ours), f"{statistics.median(ratios):.2f}")
    return table


def _figures(runs: list[load.Run]) -> tuple[str, str]:
    rates = [each.calls_a_second * CHECKS for each in runs]
    return spread(rates), spread([each.p50 for each in runs], ".2f")
