"""`make demo`: the whole system offline, one terminal, no account needed."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import typer
from rich.console import Console

import paidup
from demo.processes import ProcessFailed
from demo.stack import Addresses, Stack, check_free
from demo.story import Story, StoryFailed

console = Console(highlight=False, soft_wrap=True)

#: Which variable moves which address, and where it is by default.
DEFAULTS = {
    "EMULATOR_LISTEN": "127.0.0.1:12111",
    "PAIDUP_GATEWAY_LISTEN": "127.0.0.1:8080",
    "PAIDUP_GRPC_LISTEN": "127.0.0.1:50051",
    "PAIDUP_METRICS_LISTEN": "127.0.0.1:9464",
    "STOREFRONT_LISTEN": "127.0.0.1:4242",
}


def main(
    *,
    once: bool = typer.Option(default=False, help="End after the story instead of serving on."),
) -> None:
    """Start everything, play a subscription's life, and serve on."""
    listens = {name: os.environ.get(name) or default for name, default in DEFAULTS.items()}
    try:
        check_free(listens)
        asyncio.run(_demo(listens, once=once))
    except (ProcessFailed, StoryFailed, paidup.PaidupError) as error:
        console.print(f"\n[red]The demo failed.[/]\n{error}", style=None)
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


async def _demo(listens: dict[str, str], *, once: bool) -> None:
    addresses = Addresses(
        emulator=listens["EMULATOR_LISTEN"],
        gateway=listens["PAIDUP_GATEWAY_LISTEN"],
        grpc=listens["PAIDUP_GRPC_LISTEN"],
        metrics=listens["PAIDUP_METRICS_LISTEN"],
        storefront=listens["STOREFRONT_LISTEN"],
    )
    _stop_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="paidup-demo-") as folder:
        database_url = f"sqlite+aiosqlite:///{Path(folder) / 'paidup.db'}"
        settings = {"PAIDUP_LOG_FORMAT": "console"}
        stack = Stack(database_url=database_url, addresses=addresses, settings=settings)
        async with stack:
            await _tell(stack, once=once)
    console.print("Everything has been stopped.")


async def _tell(stack: Stack, *, once: bool) -> None:
    began = time.monotonic()
    try:
        async with paidup.BillingClient(stack.service.address) as client:
            await client.wait_for_ready()
            _say("running", _addresses(stack))
            _say("catalog", "Basic 5 USD and Premium 15 USD a month, from catalog.toml")
            await Story(stack=stack, client=client, say=_say).play()
    except StoryFailed as error:
        stack.raise_dead()
        last = "\n".join(f"  {line}" for line in stack.log[-20:])
        message = f"{error}\nThe last lines of its processes:\n{last}"
        raise StoryFailed(message) from error
    _say("done", f"the whole story in {time.monotonic() - began:.1f} s")
    if not once:
        await _serve_on(stack)


async def _serve_on(stack: Stack) -> None:
    console.print(
        f"\nServing on until Ctrl-C: a shop on [b]http://{stack.addresses.storefront}[/], "
        f"Stripe's emulator on [b]{stack.emulator.url}[/], gRPC on [b]{stack.service.address}[/]."
    )
    while True:
        stack.raise_dead()
        await asyncio.sleep(0.5)


def _addresses(stack: Stack) -> str:
    service, gateway = stack.service.address, stack.gateway.address
    return f"service {service}, gateway {gateway}, shop {stack.addresses.storefront}"


def _say(step: str, text: str) -> None:
    console.print(f"[b]{step:>15}[/]  {text}")


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    typer.run(main)
