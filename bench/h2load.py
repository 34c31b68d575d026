"""Load from a client that is not ours: nghttp2's `h2load`, where the machine has it."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from bench.load import REQUEST, Run
from bench.tables import percentile

MISSING = "h2load is not on this machine (Debian: nghttp2-client), so only our client was used."
PATH = "/paidup.v1.BillingService/CheckEntitlement"


def is_there() -> bool:
    return shutil.which("h2load") is not None


async def run(address: str, *, concurrency: int, seconds: float) -> Run:
    """Send checks over so many connections, one call at a time on each.

    It counts answers by HTTP and does not read gRPC's status: have a client of ours see
    first that the call succeeds.
    """
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        message = REQUEST.SerializeToString()
        # How gRPC frames a message: not compressed, its length, itself.
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        process = await asyncio.create_subprocess_exec(
            *("h2load", "--clients", str(concurrency), "--threads", "1"),
            *("--max-concurrent-streams", "1", "--duration", str(max(1, round(seconds)))),
            *("--header", "content-type: application/grpc", "--header", "te: trailers"),
            *("--data", str(body), "--log-file", str(log), f"http://{address}{PATH}"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait() != 0:
            raise RuntimeError("h2load failed.")
        return _read(log.read_text())


def _read(log: str) -> Run:
    """Read its log: when a request began, its status and how long it took, in microseconds."""
    lines = [[int(cell) for cell in line.split()] for line in log.splitlines()]
    if any(status != 200 for _, status, _ in lines):  # noqa: PLR2004 - HTTP's for success
        raise RuntimeError("A call failed.")
    took = [duration / 1000 for _, _, duration in lines]
    elapsed = (max(begun + took for begun, _, took in lines) - min(line[0] for line in lines)) / 1e6
    return Run(
        calls_a_second=len(lines) / elapsed, p50=percentile(took, 50), p99=percentile(took, 99)
    )
