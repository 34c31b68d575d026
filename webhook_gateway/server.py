"""The gateway as a process: listens, serves, and stops without losing what it accepted."""

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import typer
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from subscription_state.database import Database
from webhook_gateway.gateway import Gateway, assemble
from webhook_gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

#: How long stopping may take, in seconds: longer than a request waits for its commit.
DRAIN_TIMEOUT = 20.0
#: How long an idle connection is kept, in seconds: longer than proxies keep theirs.
KEEPALIVE_TIMEOUT = 75.0
#: How long the rest of a refused body is swallowed, in seconds, so that its sender reads why.
LINGERING_TIME = 2.0
BACKLOG = 1024


class CannotListen(Exception):
    """The address of `PAIDUP_GATEWAY_LISTEN` cannot be had."""


async def serve(settings: GatewaySettings, database: Database) -> None:
    """Serve until the process is told to stop, then finish what was accepted."""
    gateway = assemble(
        database, settings.webhook_secrets.get_secret_value(), wakeups=settings.database_wakeups
    )
    _stop_on_signals(gateway.stopping)
    runner = _runner(gateway.application)
    await _listen(runner, settings.gateway_listen)
    async with _following(gateway, settings.webhook_secrets_file):
        typer.echo(f"webhook_gateway listening on {_url(runner, settings.gateway_listen)}")
        await gateway.stopping.wait()
        await _drain(gateway, runner)
    await database.close()


def _runner(application: web.Application) -> web.AppRunner:
    logging.getLogger("aiohttp.server").addFilter(_is_ours_to_know)
    return web.AppRunner(
        application,
        access_log=None,
        # What was signed is what came over the wire.
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_TIMEOUT,
        lingering_time=LINGERING_TIME,
        shutdown_timeout=DRAIN_TIMEOUT,
    )


def _is_ours_to_know(record: logging.LogRecord) -> bool:
    """Keep what is no HTTP out of the log: on the Internet that is noise, and it quotes it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _listen(runner: web.AppRunner, listen: str) -> None:
    host, _, port = listen.rpartition(":")
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port), backlog=BACKLOG).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"Port {port} of {host} is in use; choose another with PAIDUP_GATEWAY_LISTEN."
            ) from error
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
        raise CannotListen(f"PAIDUP_GATEWAY_LISTEN: cannot listen on {listen}: {reason}") from error


def _url(runner: web.AppRunner, listen: str) -> str:
    port = runner.addresses[0][1]
    return f"http://{listen.rpartition(':')[0]}:{port}"


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)


@asynccontextmanager
async def _following(gateway: Gateway, path: Path | None) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(gateway.secrets.follow(path)) if path else None
        yield
        if following is not None:
            following.cancel()


async def _drain(gateway: Gateway, runner: web.AppRunner) -> None:
    """Accept nothing more; commit and answer what was accepted."""
    logger.info("webhook_gateway_stopping")
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            await runner.cleanup()
            await gateway.inbox.settled()
    except TimeoutError:
        logger.warning("webhook_gateway_gave_up_waiting")
    logger.info("webhook_gateway_stopped")
