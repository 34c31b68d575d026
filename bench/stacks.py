"""The whole system for a topic: started, with an account that has paid."""

import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import paidup
from bench import load
from demo.emulator import Emulator
from demo.processes import Process
from demo.stack import Stack
from paidup import LineItem

ACCOUNT = "acme"
FEATURE = "api_access"
CARD = "4242424242424242"
RETURN_URL = "http://localhost:4242/return?session_id={CHECKOUT_SESSION_ID}"


@asynccontextmanager
async def sqlite(**settings: str) -> AsyncIterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="paidup-bench-") as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}"
        async with Stack(database_url=url, settings=settings) as stack:
            yield stack


@asynccontextmanager
async def with_payer(**settings: str) -> AsyncIterator[Stack]:
    """Start everything on SQLite, with one account that has bought Basic."""
    async with sqlite(**settings) as stack:
        await buy(stack, ACCOUNT)
        await load.see_entitled(stack.service.address, load.REQUEST)
        yield stack


async def buy(stack: Stack, account_id: str) -> None:
    async with paidup.BillingClient(stack.service.address) as client:
        await client.wait_for_ready()
        session = await client.create_checkout_session(
            account_id=account_id,
            line_items=[LineItem(price="basic_monthly")],
            return_url=RETURN_URL,
        )
        emulator: Emulator = stack.emulator
        await emulator.pay(session.session_id, number=CARD, email="ada@example.com")
        await client.get_session_status(account_id=account_id, session_id=session.session_id)
        await emulator.drain()


@asynccontextmanager
async def process(name: str, arguments: Sequence[str]) -> AsyncIterator[Process]:
    started = await Process.start(name, arguments, {})
    try:
        yield started
    finally:
        await started.kill()


def resident(pid: int) -> float:
    """Give a process' memory in bytes."""
    pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
    return int(pages) * float(os.sysconf("SC_PAGE_SIZE"))
