/** What is held of accounts: what each may use, and since when that is known. */

import type { Question } from "./decision.js";
import { EntitlementReason, type Entitlement } from "./generated/paidup/v1/entitlement.js";

/** One feature or product that an account may use. */
export interface Right {
  /** The service's time of day, in milliseconds; infinite where time changes nothing. */
  readonly until: number;
  readonly reason: EntitlementReason;
  readonly quantity: number;
}

/** Everything that one account may use. */
export class Held {
  readonly features = new Map<string, Right>();
  readonly products = new Map<string, Right>();
  /** Monotonic; when the service is known to have said so. */
  asOf = -Infinity;
  /** Monotonic; how long it may be used by itself, as the answer of an RPC. */
  freshUntil = -Infinity;
  /** Whether the stream tells of every change since. */
  watched = false;
  /** Whether it was asked about since it was last considered for eviction. */
  asked = false;

  right(asked: Question): Right | undefined {
    const rights = asked.productId === undefined ? this.features : this.products;
    return rights.get(asked.feature ?? asked.productId ?? "");
  }
}

/** Read a list of what an account may use. What is not understood entitles nobody. */
export function heldOf(entitlements: Iterable<Entitlement>): Held {
  const held = new Held();
  for (const entitlement of entitlements) {
    const { entitled, feature, productId } = entitlement;
    if (!entitled) continue;
    if (feature !== undefined && productId === undefined) {
      held.features.set(feature, rightOf(entitlement));
    } else if (productId !== undefined && feature === undefined) {
      held.products.set(productId, rightOf(entitlement));
    }
  }
  return held;
}

function rightOf({ validUntilTime, reason, quantity }: Entitlement): Right {
  const until = validUntilTime === undefined ? Infinity : validUntilTime.getTime();
  // Beyond what a Date can hold it is no number, which no comparison would ever end.
  return { until: Number.isNaN(until) ? -Infinity : until, reason, quantity };
}

/**
 * Accounts by id, at most so many: those that nobody asks about go first.
 *
 * An account that was asked about since it was last considered gets a second chance.
 */
export class Accounts {
  readonly byId = new Map<string, Held>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  put(accountId: string, held: Held): void {
    const before = this.byId.get(accountId);
    held.asked = before?.asked ?? held.asked;
    this.byId.set(accountId, held);
    while (this.byId.size > this.#most) this.#evictOne();
  }

  /** A map keeps the order of insertion, so going through it goes from the oldest on. */
  #evictOne(): void {
    for (const [accountId, held] of this.byId) {
      this.byId.delete(accountId);
      if (!held.asked) return;
      held.asked = false;
      this.byId.set(accountId, held);
    }
  }
}
