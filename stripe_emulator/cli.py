import asyncio
import errno
import logging
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console

from stripe_emulator import ids, server
from stripe_emulator.api import ENDPOINTS
from stripe_emulator.emulator import Emulator, Webhook
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.faults import Faults, from_json
from stripe_emulator.settings import Settings
from stripe_emulator.state import StateFile, StateRefused

DEFAULT_LISTEN = "127.0.0.1:12111"
HIGHEST_PORT = 65535

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def main(
    listen: Annotated[
        str, typer.Option(help="HOST:PORT to serve on; port 0 takes a free one.")
    ] = DEFAULT_LISTEN,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to deliver events, such as http://127.0.0.1:8080/webhooks/stripe."
        ),
    ] = None,
    webhook_secret: Annotated[
        list[str] | None,
        typer.Option(
            help="Signing secret (whsec_…). Once for all webhooks, or once for each, in order."
        ),
    ] = None,
    faults: Annotated[
        str,
        typer.Option(help="Fault knobs to begin with: a JSON object, or a file that holds one."),
    ] = "{}",
    state: Annotated[
        Path | None,
        typer.Option(help="A file to keep everything in over restarts; made where there is none."),
    ] = None,
) -> None:
    """Serve a local, stateful Stripe: API, Checkout, portal, webhooks and a clock to move."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    host, port = _address(listen)
    webhooks = _webhooks(webhook or [], webhook_secret or [])
    emulator = Emulator(settings=Settings(), webhooks=webhooks, faults=_faults(faults))
    try:
        asyncio.run(server.serve(emulator, host, port, StateFile(state) if state else None))
    except StateRefused as error:
        _refuse(str(error))
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error})"
        _refuse(f"Port {port} on {host} {reason}. Choose another with --listen HOST:PORT.")


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        _refuse(f"--listen takes HOST:PORT, such as {DEFAULT_LISTEN}, not {listen!r}.")
    return host.strip("[]"), int(port)


def _webhooks(urls: list[str], secrets: list[str]) -> tuple[Webhook, ...]:
    if not secrets and urls:
        secrets = [ids.new("whsec")]
        complaints.print(f"No --webhook-secret given; signing with {secrets[0]}")
    if len(secrets) == 1:
        secrets = secrets * len(urls)
    if len(secrets) != len(urls):
        _refuse("Give --webhook-secret once, or once for each --webhook.")
    return tuple(
        Webhook(url=url, secrets=(secret,)) for url, secret in zip(urls, secrets, strict=True)
    )


def _faults(given: str) -> Faults:
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text("utf-8")
        body = orjson.loads(text)
        if not isinstance(body, dict):
            _refuse("--faults takes a JSON object.")
        return from_json(body, ENDPOINTS)
    except OSError as error:
        _refuse(f"--faults takes a JSON object, or a file that can be read ({error.strerror}).")
    except ValueError as error:
        _refuse(f"--faults holds no JSON: {error}")
    except InvalidRequest as error:
        _refuse(f"--faults: {error.message}")


def _refuse(reason: str) -> NoReturn:
    complaints.print(reason)
    raise typer.Exit(code=2)
