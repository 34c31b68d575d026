"""How a channel behaves: balancing, health, retries, keepalive, sizes.

Retries are gRPC's own, so they end at the call's deadline and stop altogether
while most calls fail. Only what is safe to repeat is repeated.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from paidup._calls import Rpc
from paidup._endpoint import Endpoint

Options: TypeAlias = Sequence[tuple[str, Any]]

#: Four attempts within about a second. UNAVAILABLE alone: any other code either
#: says no for good or comes when the time is over.
RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

#: A failed attempt takes a token, a success gives a tenth of one back. Nothing is
#: repeated while less than half are left, so an overloaded service gets no more
#: load on top.
RETRY_THROTTLING = {"maxTokens": 100, "tokenRatio": 0.1}

OPTIONS: Mapping[str, int] = {
    # A connection that died unnoticed is found in 40 seconds. Servers cut off
    # whoever pings too often: Paidup's admits a ping every 10 seconds.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    # gRPC would wait up to two minutes after a long outage.
    "grpc.max_reconnect_backoff_ms": 10_000,
    "grpc.max_send_message_length": 4 * 1024 * 1024,
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
}


def arguments(endpoint: Endpoint, rpcs: Iterable[Rpc[Any]], more: Options) -> Options:
    """Return a channel's arguments; the caller's own prevail."""
    # A proxy in the environment must not get what is meant for this machine.
    direct = {"grpc.enable_http_proxy": 0} if endpoint.on_loopback else {}
    own = {**OPTIONS, **direct, "grpc.service_config": service_config(rpcs)}
    # Of two with the same name, gRPC would take the first.
    return list((own | dict(more)).items())


def service_config(rpcs: Iterable[Rpc[Any]]) -> str:
    """Return gRPC's service config as JSON."""
    repeatable = [
        {"service": rpc.service, "method": rpc.name} for rpc in rpcs if rpc.safe_to_repeat
    ]
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            # The empty name asks about the server as a whole.
            "healthCheckConfig": {"serviceName": ""},
            "methodConfig": [{"name": repeatable, "retryPolicy": RETRY_POLICY}],
            "retryThrottling": RETRY_THROTTLING,
        }
    )
