/**
 * How a channel behaves: balancing, retries, keepalive, sizes.
 *
 * Retries are gRPC's own, so they end at the call's deadline and stop altogether while
 * most calls fail. Only what is safe to repeat is repeated.
 */

import type { ChannelOptions } from "@grpc/grpc-js";

import type { Endpoint } from "./endpoint.js";
import { RPCS } from "./rpcs.js";

/**
 * Four attempts within about a second. UNAVAILABLE alone: any other code either says no
 * for good or comes when the time is over.
 */
const RETRY_POLICY = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/**
 * A failed attempt takes a token, a success gives a tenth of one back. Nothing is
 * repeated while less than half are left, so an overloaded service gets no more load
 * on top.
 */
const RETRY_THROTTLING = { maxTokens: 100, tokenRatio: 0.1 };

const OPTIONS: ChannelOptions = {
  // A connection that died unnoticed is found in 40 seconds. Servers cut off whoever
  // pings too often: Paidup's admits a ping every 10 seconds.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  // gRPC would wait up to two minutes after a long outage.
  "grpc.max_reconnect_backoff_ms": 10_000,
  "grpc.max_send_message_length": 4 * 1024 * 1024,
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
};

/** Return a channel's options; the caller's own prevail. */
export function channelOptions(endpoint: Endpoint, more: ChannelOptions): ChannelOptions {
  // A proxy in the environment must not get what is meant for this machine.
  const direct = endpoint.onLoopback ? { "grpc.enable_http_proxy": 0 } : {};
  return { ...OPTIONS, ...direct, "grpc.service_config": serviceConfig(), ...more };
}

/** Return gRPC's service config as JSON. */
function serviceConfig(): string {
  const repeatable = Object.values(RPCS).filter((rpc) => rpc.safeToRepeat);
  const name = repeatable.map(({ method }) => {
    const [, service, called] = method.path.split("/");
    return { service, method: called };
  });
  return JSON.stringify({
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [{ name, retryPolicy: RETRY_POLICY }],
    retryThrottling: RETRY_THROTTLING,
  });
}
