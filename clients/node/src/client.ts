/** The client. */

import { Connection, type CallOptions, type ConnectionOptions } from "./connection.js";
import type { Subject } from "./decision.js";
import type {
  BatchCheckEntitlementsResponse,
  CheckEntitlementResponse,
  CreateCheckoutSessionResponse,
  CreatePortalSessionResponse,
  GetSessionStatusResponse,
  ListEntitlementsResponse,
  ListSubscriptionsResponse,
} from "./generated/paidup/v1/billing_service.js";
import type { Subscription } from "./generated/paidup/v1/subscription.js";
import {
  batchRequest,
  checkRequest,
  checkoutRequest,
  listRequest,
  portalRequest,
  sessionRequest,
  subscriptionsRequest,
  type Checkout,
  type EntitlementCheck,
  type Freshness,
  type OfAccount,
  type Portal,
  type SessionOfAccount,
  type SubscriptionsPage,
} from "./requests.js";
import { RPCS } from "./rpcs.js";

/**
 * Calls the billing service.
 *
 * Make one and keep it: it holds a connection to each server. Calls reject with what
 * `PaidupError` describes.
 */
export class BillingClient {
  /** @internal Shared with a cache. */
  readonly connection: Connection;

  /**
   * Prepare to call the service at `address`, which may be any that gRPC resolves.
   *
   * The connection is guarded by TLS; on loopback alone it is plaintext where nothing
   * else is said. Throws TypeError where a token would have to leave this machine in
   * plaintext.
   */
  constructor(address: string, options: ConnectionOptions = {}) {
    this.connection = new Connection(address, options);
  }

  /**
   * Create a Stripe Checkout Session, or get the account's open one for the same items.
   *
   * `requestId` (a UUID) makes the call safe to repeat: the service answers a repetition
   * as it answered first. Without one, a fresh one is made, which covers the attempts
   * of this call; give your own to repeat the call yourself, after `DeadlineExceeded`
   * for example.
   *
   * Rejects with `AlreadySubscribed` when the account already pays for a product.
   */
  async createCheckoutSession(
    checkout: Checkout,
    options: CallOptions = {},
  ): Promise<CreateCheckoutSessionResponse> {
    return this.connection.send(RPCS.createCheckoutSession, checkoutRequest(checkout), options);
  }

  /**
   * Get where a Checkout Session of the account stands.
   *
   * Once it is complete, checks with `atLeastRevision` set to the answer's `revision`
   * see what was paid for.
   */
  async getSessionStatus(
    session: SessionOfAccount,
    options: CallOptions = {},
  ): Promise<GetSessionStatusResponse> {
    return this.connection.send(RPCS.getSessionStatus, sessionRequest(session), options);
  }

  /**
   * Create a session of Stripe's customer portal; send the customer to its `url` at once.
   *
   * Rejects with `NotFound` for an account without a customer, and with
   * `SubscriptionAmbiguous` when `flow` is about one subscription of several.
   */
  async createPortalSession(
    portal: Portal,
    options: CallOptions = {},
  ): Promise<CreatePortalSessionResponse> {
    return this.connection.send(RPCS.createPortalSession, portalRequest(portal), options);
  }

  /**
   * Check whether an account may use one feature or product now, and why.
   *
   * An unknown account is not entitled, which is an answer.
   */
  async checkEntitlement(
    check: EntitlementCheck & Freshness,
    options: CallOptions = {},
  ): Promise<CheckEntitlementResponse> {
    return this.connection.send(RPCS.checkEntitlement, checkRequest(check), options);
  }

  /** Say whether an account may use it: `checkEntitlement` for those who need no reason. */
  async entitled(
    accountId: string,
    subject: Subject & Freshness,
    options: CallOptions = {},
  ): Promise<boolean> {
    const { entitlement } = await this.checkEntitlement({ accountId, ...subject }, options);
    return entitlement?.entitled === true;
  }

  /**
   * Check up to 1,000 pairs of an account and a feature or product, as of one revision.
   *
   * The answer has one entitlement a check, in the order of `checks`.
   */
  async batchCheckEntitlements(
    batch: { readonly checks: readonly EntitlementCheck[] } & Freshness,
    options: CallOptions = {},
  ): Promise<BatchCheckEntitlementsResponse> {
    return this.connection.send(RPCS.batchCheckEntitlements, batchRequest(batch), options);
  }

  /** List every feature and product that an account may use now. */
  async listEntitlements(
    of: OfAccount & Freshness,
    options: CallOptions = {},
  ): Promise<ListEntitlementsResponse> {
    return this.connection.send(RPCS.listEntitlements, listRequest(of), options);
  }

  /** List one page of an account's subscriptions, newest first: 20, or `pageSize`, 1 to 100. */
  async listSubscriptions(
    page: SubscriptionsPage,
    options: CallOptions = {},
  ): Promise<ListSubscriptionsResponse> {
    return this.connection.send(RPCS.listSubscriptions, subscriptionsRequest(page), options);
  }

  /**
   * Go through all of an account's subscriptions, newest first.
   *
   * A page is fetched when the one before it is used up; `timeoutMs` is for each.
   */
  async *iterSubscriptions(
    of: Omit<SubscriptionsPage, "pageToken">,
    options: CallOptions = {},
  ): AsyncGenerator<Subscription, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.listSubscriptions({ ...of, pageToken }, options);
      yield* page.subscriptions;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /**
   * Wait until a server can be called, at start-up for example; 30 seconds if not told.
   *
   * Rejects with `Unavailable` when none can in time.
   */
  async waitForReady({ timeoutMs = 30_000 }: { timeoutMs?: number } = {}): Promise<void> {
    await this.connection.waitForReady(timeoutMs);
  }

  /** Close the connection. Calls that still wait reject. */
  close(): void {
    this.connection.close();
  }
}
