"""Runs the service: gRPC, the operators' HTTP, the background, and the way out."""

import asyncio
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from billing_service import leaving, metrics
from billing_service.composition import Parts, compose
from billing_service.door import Door, open_door
from billing_service.interceptors import CallInterceptor
from billing_service.listening import LISTENING, TAKING_TOKENS, Announced, announce, bind
from billing_service.operations_http import operations_app, served, served_at
from billing_service.readiness import Readiness
from billing_service.settings import ServiceSettings
from paidup.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    billing_service_pb2,
    billing_service_pb2_grpc,
)
from subscription_state import loop_lag, tracing
from subscription_state.build import build_facts
from subscription_state.stopping import Stopping

MAX_MESSAGE = 4 * 1024 * 1024

OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 16 * 1024),
    # Clients ping every 30 s, also between calls; stricter servers end their connections.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients look for new replicas only when a connection ends.
    ("grpc.max_connection_age_ms", 300_000),
    # Longer than the life of a stream, so that each is ended by a goodbye.
    ("grpc.max_connection_age_grace_ms", 300_000),
]


async def serve(settings: ServiceSettings, worker: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raise `PortTaken`, `DoorInvalid` or `WrongDeployment` at the start.

    `worker` is for one of several processes that share the port: where it answers whoever
    started it, and speaks for all. It ends with that process too.
    """
    stopping = Stopping()
    stopping.on_signals()
    tracing.begin("paidup-billing-service")
    orphaned = asyncio.create_task(_end_with_parent(stopping)) if worker else None
    door = open_door(settings)
    parts = compose(settings)
    try:
        await _serve(settings, parts, door, stopping, worker)
    finally:
        await leaving.close(parts)
        await asyncio.to_thread(tracing.end)
        if orphaned is not None:
            orphaned.cancel()
            await asyncio.gather(orphaned, return_exceptions=True)


async def _end_with_parent(stopping: Stopping) -> None:
    """Stop when whoever holds the other end of standard input is gone, however it went."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.read()
        stopping.ask()
    finally:
        transport.close()


async def _serve(
    settings: ServiceSettings,
    parts: Parts,
    door: Door,
    stopping: Stopping,
    worker: Path | None,
) -> None:
    health_servicer = health.aio.HealthServicer()
    readiness = Readiness(parts.database, parts.stripe, health_servicer)
    server = build_server(
        parts,
        health_servicer,
        calls=CallInterceptor(
            limits=parts.limits,
            access=door.access,
            answers=parts.answers,
            log_checks_one_in=settings.log_checks_one_in,
        ),
        shares_port=worker is not None,
    )
    if settings.offers_reflection:
        enable_reflection(server)
    bound = _bind(server, settings, door)
    app = operations_app(readiness)
    metrics.WORKERS.set(1)
    metrics.BUILD.labels(**build_facts()).set(1)
    async with served_at(app, worker) if worker else served(app, settings.metrics_listen):
        await readiness.begin()
        await server.start()
        for announced in bound:
            announce(*announced)
        following = asyncio.create_task(readiness.follow(livemode=settings.livemode))
        working = asyncio.create_task(_work(parts, readiness))
        feeding = asyncio.create_task(parts.feed.run())
        watching = asyncio.create_task(parts.watchers.run())
        rekeying = asyncio.create_task(parts.key_follower.run())
        timing = asyncio.create_task(loop_lag.measure(metrics.LOOP_LAG.observe))
        guarding = [asyncio.create_task(door.access.follow())] if door.access else []
        tasks = (following, working, feeding, watching, rekeying, timing, *guarding)
        await first_of(stopping, *tasks)
        following.cancel()
        seconds = settings.drain_seconds
        await leaving.leave(
            parts, server, readiness, stopping, working=working, drain_seconds=seconds
        )
        await leaving.end(tasks)
    raise_failure(*tasks)


async def _work(parts: Parts, readiness: Readiness) -> None:
    """Begin once the database is known to be ours: what another account's key reads ruins it."""
    await readiness.bound.wait()
    listening = asyncio.create_task(parts.hints.listener.run())
    try:
        await parts.background.run()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def build_server(
    parts: Parts,
    health_servicer: health.aio.HealthServicer,
    *,
    calls: CallInterceptor | None = None,
    shares_port: bool = False,
) -> grpc.aio.Server:
    # Unless they were started together, a forgotten process must not share the port in silence.
    sharing = ("grpc.so_reuseport", int(shares_port))
    interceptor = calls or CallInterceptor(limits=parts.limits)
    server = grpc.aio.server(interceptors=[interceptor], options=[sharing, *OPTIONS])
    billing_service_pb2_grpc.add_BillingServiceServicer_to_server(parts.servicer, server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(parts.admin_servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    return server


def enable_reflection(server: grpc.aio.Server) -> None:
    reflection.enable_server_reflection(
        [
            billing_service_pb2.DESCRIPTOR.services_by_name["BillingService"].full_name,
            admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
            health.SERVICE_NAME,
            reflection.SERVICE_NAME,
        ],
        server,
    )


def _bind(server: grpc.aio.Server, settings: ServiceSettings, door: Door) -> list[Announced]:
    """Bind every address, and give what is to be announced of each."""
    ports = {"PAIDUP_GRPC_LISTEN": (LISTENING, settings.grpc_listen, door.credentials)}
    if settings.grpc_token_listen is not None:
        second = (TAKING_TOKENS, settings.grpc_token_listen, door.token_credentials)
        ports["PAIDUP_GRPC_TOKEN_LISTEN"] = second
    return [
        (what, listen.rpartition(":")[0], bind(server, listen, variable, credentials))
        for variable, (what, listen, credentials) in ports.items()
    ]


async def first_of(stopping: Stopping, *tasks: "asyncio.Task[None]") -> None:
    """Wait for the signal, or for a task that ended: they never should."""
    waiting = asyncio.create_task(stopping.asked.wait())
    await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def raise_failure(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error
