/** What callers give, and the messages that are made of it. Nothing is sent in here. */

import { randomUUID } from "node:crypto";

import { question, type Subject } from "./decision.js";
import {
  BatchCheckEntitlementsRequest,
  CheckEntitlementRequest,
  CreateCheckoutSessionRequest,
  CreatePortalSessionRequest,
  GetSessionStatusRequest,
  ListEntitlementsRequest,
  ListSubscriptionsRequest,
  type DeepPartial,
} from "./generated/paidup/v1/billing_service.js";
import type { Consistency } from "./generated/paidup/v1/entitlement.js";

/** A message of which only some fields must be given. */
type Given<Message, Required extends keyof Message> = {
  readonly [Field in Exclude<keyof Message, Required>]?: DeepPartial<Message[Field]>;
} & {
  readonly [Field in Required]: DeepPartial<Message[Field]>;
};

/** An embedded page, the default, needs `returnUrl`; a hosted one `successUrl`. */
export type Checkout = Given<CreateCheckoutSessionRequest, "accountId" | "lineItems">;

export type SessionOfAccount = Given<GetSessionStatusRequest, "accountId" | "sessionId">;

export type Portal = Given<CreatePortalSessionRequest, "accountId">;

export type SubscriptionsPage = Given<ListSubscriptionsRequest, "accountId">;

/** At most one of these asks for a fresher answer. */
export interface Freshness {
  /** At least as fresh as an earlier answer's `revision`. */
  readonly atLeastRevision?: string | undefined;
  /** As fresh as the database. */
  readonly fullyConsistent?: boolean;
}

export interface OfAccount {
  readonly accountId: string;
}

/** One pair of `batchCheckEntitlements`. */
export type EntitlementCheck = OfAccount & Subject;

export function checkoutRequest(given: Checkout): CreateCheckoutSessionRequest {
  const request = CreateCheckoutSessionRequest.fromPartial(given);
  return { ...request, requestId: request.requestId || randomUUID() };
}

export function sessionRequest(given: SessionOfAccount): GetSessionStatusRequest {
  return GetSessionStatusRequest.fromPartial(given);
}

export function portalRequest(given: Portal): CreatePortalSessionRequest {
  return CreatePortalSessionRequest.fromPartial(given);
}

export function checkRequest(given: EntitlementCheck & Freshness): CheckEntitlementRequest {
  const consistency = consistencyOf(given);
  return CheckEntitlementRequest.fromPartial({ ...question(given.accountId, given), consistency });
}

export function batchRequest(
  given: { readonly checks: readonly EntitlementCheck[] } & Freshness,
): BatchCheckEntitlementsRequest {
  const checks = given.checks.map((check) => question(check.accountId, check));
  return BatchCheckEntitlementsRequest.fromPartial({ checks, consistency: consistencyOf(given) });
}

export function listRequest(given: OfAccount & Freshness): ListEntitlementsRequest {
  const { accountId } = given;
  return ListEntitlementsRequest.fromPartial({ accountId, consistency: consistencyOf(given) });
}

export function subscriptionsRequest(given: SubscriptionsPage): ListSubscriptionsRequest {
  return ListSubscriptionsRequest.fromPartial(given);
}

function consistencyOf({ atLeastRevision, fullyConsistent }: Freshness): Consistency | undefined {
  if (atLeastRevision !== undefined && fullyConsistent) {
    throw new TypeError("Ask for either atLeastRevision or fullyConsistent.");
  }
  if (fullyConsistent) return { fullyConsistent };
  return atLeastRevision === undefined ? undefined : { atLeastRevision };
}
