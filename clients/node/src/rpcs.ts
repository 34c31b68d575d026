/** Every RPC of the service: its method, how long it waits, and whether it may be repeated. */

import type { MethodDefinition } from "@grpc/grpc-js";

import { BillingServiceService as service } from "./generated/paidup/v1/billing_service.js";

export interface Rpc<Request, Response> {
  readonly method: MethodDefinition<Request, Response>;
  /** How long a call waits where its caller says nothing. */
  readonly timeoutMs: number;
  /** Whether the channel may send it again when an attempt was lost. */
  readonly safeToRepeat: boolean;
}

function rpc<Request, Response>(
  method: MethodDefinition<Request, Response>,
  timeoutMs: number,
  safeToRepeat: boolean,
): Rpc<Request, Response> {
  return { method, timeoutMs, safeToRepeat };
}

export const RPCS = {
  // Every request has a request_id.
  createCheckoutSession: rpc(service.createCheckoutSession, 30_000, true),
  getSessionStatus: rpc(service.getSessionStatus, 15_000, true),
  // Each attempt would create a session of its own.
  createPortalSession: rpc(service.createPortalSession, 15_000, false),
  checkEntitlement: rpc(service.checkEntitlement, 2_000, true),
  batchCheckEntitlements: rpc(service.batchCheckEntitlements, 5_000, true),
  listEntitlements: rpc(service.listEntitlements, 2_000, true),
  listSubscriptions: rpc(service.listSubscriptions, 5_000, true),
};

/** A stream, so none of the calls above: whoever follows it begins it anew itself. */
export const WATCH = service.watchEntitlements;
