"""The gateway as a process: listens, serves, and stops without losing what it accepted."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import typer
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from subscription_state import loop_lag, tracing
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from subscription_state.key_files import KeyFollower
from webhook_gateway.connections import Connections, Door
from webhook_gateway.gateway import Gateway, assemble
from webhook_gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

#: How long what was accepted may take, in seconds: longer than a request waits for its commit.
DRAIN_TIMEOUT = 20.0
#: And where there is a hurry.
HURRIED_TIMEOUT = 1.0
#: How long the database may take to close, in seconds.
CLOSING = 3.0
#: How long an idle connection is kept, in seconds: longer than proxies keep theirs.
KEEPALIVE_TIMEOUT = 75.0
#: Lines of a request's head: several times what Stripe and proxies send. aiohttp bounds each.
MAX_HEADERS = 64
#: How long the rest of a refused body is swallowed, in seconds, so that its sender reads why.
LINGERING_TIME = 2.0
BACKLOG = 1024


class CannotListen(Exception):
    """The address of `PAIDUP_GATEWAY_LISTEN` cannot be had."""


async def serve(settings: GatewaySettings, database: Database) -> None:
    """Serve until the process is told to stop, then finish what was accepted."""
    tracing.begin("paidup-webhook-gateway")
    gateway = assemble(
        database, settings.webhook_secrets.get_secret_value(), wakeups=settings.database_wakeups
    )
    gateway.stopping.on_signals()
    runner = _runner(gateway.application)
    await _listen(runner, settings.gateway_listen, gateway.connections)
    async with _following(*_followers(gateway, settings, database)):
        typer.echo(f"webhook_gateway listening on {_url(runner, settings.gateway_listen)}")
        await gateway.stopping.asked.wait()
        await _drain(gateway, runner, drain_seconds=settings.drain_seconds)
    await _close(database)
    await asyncio.to_thread(tracing.end)
    logger.info("webhook_gateway_stopped")


def _runner(application: web.Application) -> web.AppRunner:
    logging.getLogger("aiohttp.server").addFilter(_is_ours_to_know)
    return web.AppRunner(
        application,
        access_log=None,
        # What was signed is what came over the wire.
        auto_decompress=False,
        max_headers=MAX_HEADERS,
        keepalive_timeout=KEEPALIVE_TIMEOUT,
        lingering_time=LINGERING_TIME,
        shutdown_timeout=DRAIN_TIMEOUT,
    )


def _is_ours_to_know(record: logging.LogRecord) -> bool:
    """Keep what is no HTTP out of the log: on the Internet that is noise, and it quotes it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _listen(runner: web.AppRunner, listen: str, connections: Connections) -> None:
    host, _, port = listen.rpartition(":")
    await runner.setup()
    door = Door(runner, connections, host.strip("[]"), int(port), backlog=BACKLOG)
    try:
        await door.start()
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


def _followers(
    gateway: Gateway, settings: GatewaySettings, database: Database
) -> list[Coroutine[None, None, None]]:
    """Give what keeps secrets and keys as their files are, and measures the loop."""
    keys = KeyFollower(
        settings.encryption_key_files,
        database.keyring,
        told=lambda result: gateway.metrics.key_reloads.labels(result).inc(),
    )
    path = settings.webhook_secrets_file
    lag = loop_lag.measure(gateway.metrics.loop_lag.observe)
    return [keys.run(), lag, *([gateway.secrets.follow(path)] if path else [])]


@asynccontextmanager
async def _following(*followers: Coroutine[None, None, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(each) for each in followers]
        yield
        for each in following:
            each.cancel()


async def _drain(gateway: Gateway, runner: web.AppRunner, *, drain_seconds: float) -> None:
    """Let the word spread; then accept nothing more, and commit and answer what was accepted."""
    logger.info("webhook_gateway_stopping")
    await gateway.stopping.pause(drain_seconds)
    answered = _answer_all(gateway, runner)
    if not await gateway.stopping.within(DRAIN_TIMEOUT, answered, hurried=HURRIED_TIMEOUT):
        # Nobody was told that the rest is stored: Stripe keeps it.
        logger.warning("webhook_gateway_gave_up_waiting")


async def _answer_all(gateway: Gateway, runner: web.AppRunner) -> None:
    await runner.cleanup()
    await gateway.inbox.settled()


async def _close(database: Database) -> None:
    with suppress(TimeoutError, StateUnavailable):
        async with asyncio.timeout(CLOSING):
            await database.flush()
            await database.close()
