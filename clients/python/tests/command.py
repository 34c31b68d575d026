"""The `paidup` command as a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from paidup import Entitlement, EntitlementReason
from paidup.v1 import billing_service_pb2 as pb

#: What could reach the command from whoever runs the tests.
FOREIGN = ("PAIDUP_", "NO_COLOR", "FORCE_COLOR", "GRPC_")
LONGEST_RUN = 40

END = datetime(2027, 1, 31, 12, tzinfo=UTC)
ENTITLED = pb.CheckEntitlementResponse(
    entitlement=Entitlement(
        account_id="acme",
        feature="api_access",
        entitled=True,
        reason=EntitlementReason.ENTITLEMENT_REASON_ACTIVE,
        subscription_id="sub_1",
        quantity=2,
        valid_until_time=END,
    ),
    revision="r7",
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        [line] = self.lines
        return line

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


async def start(
    *arguments: str, env: Mapping[str, str] | None = None, stdout: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    own = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "paidup",
        *arguments,
        env={**own, **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def paidup(
    *arguments: str, address: str = "", env: Mapping[str, str] | None = None, answer: str = ""
) -> Ended:
    """Run the command to its end; `answer` is what is typed."""
    where = {"PAIDUP_ADDRESS": address} if address else {}
    process = await start(*arguments, env={**where, **(env or {})})
    async with asyncio.timeout(LONGEST_RUN):
        out, err = await process.communicate(answer.encode())
    assert process.returncode is not None
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())
