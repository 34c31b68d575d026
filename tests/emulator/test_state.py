"""What `--state` keeps over restarts, and which files it refuses."""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from tests.emulator.shop import DAY, Shop, client

COMMAND = [sys.executable, "-m", "stripe_emulator", "--listen", "127.0.0.1:0"]


@asynccontextmanager
async def _running(
    state: Path, *arguments: str, end: signal.Signals = signal.SIGTERM
) -> AsyncIterator[Shop]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--state", str(state), *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    http_client = stripe.AIOHTTPClient()
    try:
        async with aiohttp.ClientSession() as web_session:
            yield Shop(url, client(url, http_client), web_session, [])
    finally:
        await http_client.close_async()
        process.send_signal(end)
        code = await asyncio.wait_for(process.wait(), 10)
    assert code == (0 if end is signal.SIGTERM else -end)


def _refusal(state: Path) -> str:
    done = subprocess.run(
        [*COMMAND, "--state", str(state)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


async def _all(shop: Shop) -> list[Any]:
    paths = ("customers", "subscriptions", "invoices", "prices", "events", "checkout/sessions")
    return [
        (await (await shop.raw("GET", f"/v1/{path}?limit=100")).json())["data"] for path in paths
    ]


async def test_a_world_outlives_its_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with _running(state) as shop:
        subscription = await shop.subscribe()
        await shop.advance(5 * DAY)
        await shop.control("/settings", {"after_last_retry": "unpaid"}, method="PUT")
        before = await _all(shop)
    async with _running(state) as shop:
        after = await _all(shop)
        offset = (await shop.control("/clock", method="GET"))["offset"]
        settings = await shop.control("/settings", method="GET")
        await shop.advance(40 * DAY)
        invoices = (await shop.stripe.invoices.list_async()).data
        await shop.stripe.subscriptions.update_async(
            subscription.id, {"items": [{"id": subscription["items"].data[0].id, "quantity": 3}]}
        )
        changed = await shop.subscription(subscription.id)

    assert after == before
    assert offset == 5 * DAY
    assert settings["after_last_retry"] == "unpaid"
    # It lives on: what was due is done, and rows that were one are one still.
    assert [invoice.status for invoice in invoices[-2:]] == ["paid", "paid"]
    assert changed["items"].data[0].quantity == 3
    assert oct(state.stat().st_mode)[-3:] == "600"
    assert os.listdir(tmp_path) == ["state"]  # noqa: PTH208 -- no loop waits for it


async def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    options: Any = {"idempotency_key": "once"}
    async with _running(tmp_path / "state") as shop:
        first = await shop.stripe.customers.create_async({"name": "Ada"}, options)
    async with _running(tmp_path / "state") as shop:
        second = await shop.stripe.customers.create_async({"name": "Ada"}, options)
        customers = (await shop.stripe.customers.list_async()).data

    assert first.id == second.id
    assert len(customers) == 1


@pytest.mark.parametrize("fault", [{"blocked": True}, {"delay_seconds": 120, "delay_share": 1}])
async def test_what_was_not_delivered_is_delivered_after_a_restart(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    received: list[stripe.Event] = []
    secret = "whsec_second"

    async def receive(request: web.Request) -> web.Response:
        signature = request.headers["Stripe-Signature"]
        received.append(stripe.Webhook.construct_event(await request.read(), signature, secret))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    hook = ("--webhook", url, "--webhook-secret")
    try:
        async with _running(tmp_path / "state", *hook, "whsec_first") as shop:
            await shop.control("/faults", {"webhooks": fault}, method="PUT")
            await shop.product()
        async with _running(tmp_path / "state", *hook, secret) as shop:
            await shop.control("/faults", {}, method="PUT")
            drained = await shop.control("/deliveries/drain", {"timeout": 20})
            endpoints = (await shop.stripe.webhook_endpoints.list_async()).data
    finally:
        await runner.cleanup()

    assert drained == {"drained": True, "pending": 0, "held": 0}
    assert [event.type for event in received] == ["product.created"]
    assert len(endpoints) == 1


async def test_what_was_saved_survives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with _running(state, end=signal.SIGKILL) as shop:
        empty = state.read_bytes()
        await shop.product()
        async with asyncio.timeout(20):
            while state.read_bytes() == empty:
                await asyncio.sleep(0.1)
    async with _running(state) as shop:
        products = (await shop.stripe.products.list_async()).data

    assert len(products) == 1


def _header(**changes: Any) -> bytes:
    return json.dumps({"paidup_emulator_state": "x", "sha256": "x", **changes}).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it holds no emulator's state."),
        (b"[1]\n", "it holds no emulator's state."),
        (b"\x80\x05\n", "it holds no emulator's state."),
        (_header(), "another version of the emulator wrote it. Remove it to begin anew."),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    state = tmp_path / "state"
    state.write_bytes(content)

    assert _refusal(state) == f"--state {state}: {reason}"
    assert state.read_bytes() == content


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with _running(state) as shop:
        await shop.product()
    state.write_bytes(state.read_bytes()[:-20])

    assert _refusal(state) == f"--state {state}: it is damaged. Remove it to begin anew."


class _Harmful:
    def __reduce__(self) -> Any:
        return subprocess.check_output, (["true"],)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(_Harmful()),
        b"cstripe_emulator.cli\nPath\n.",
        b"cstripe_emulator.cli\n_refuse\n.",
        b"\x80\x05\x8c\x13stripe_emulator.cli\x8c\x09Path.home\x93.",
    ],
)
async def test_a_file_makes_nothing_but_the_emulators_own(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    async with _running(state):
        header = json.loads(state.read_bytes().partition(b"\n")[0])
    header["sha256"] = sha256(content).hexdigest()
    state.write_bytes(json.dumps(header).encode() + b"\n" + content)

    assert "is none of the emulator's classes" in _refusal(state)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "nowhere" / "state"

    assert _refusal(state) == f"--state {state}: No such file or directory."
