/** Clocks that a test moves, what a cache tells, and messages as the service sends them. */

import type { Pace } from "../src/cache-settings.js";
import type { CacheObserver, CacheState, MessageKind, Operation, Source } from "../src/decision.js";
import { Entitlement, EntitlementReason } from "../src/generated/paidup/v1/entitlement.js";
import type { Clock } from "../src/server-time.js";

/** When the service's clock starts, in milliseconds. */
export const START = 1_700_000_000_000;

/** A test waits for conditions, and should not wait for pauses as well. */
export const HASTE: Pace = {
  firstRetry: 10,
  longestRetry: 50,
  unwatched: 60_000,
  tick: 10,
  save: 30_000,
};

/** A machine's two clocks, and the service's. */
export class Clocks implements Clock {
  passed = 0;
  jumped = 0;
  readonly monotonic = () => 5_000_000 + this.passed;
  readonly wall = () => START + this.passed + this.jumped;
  readonly server = () => START + this.passed;
}

export class Recorder implements CacheObserver {
  readonly checks: [Source, boolean][] = [];
  readonly states: CacheState[] = [];
  readonly messages: MessageKind[] = [];
  readonly errors: [Operation, Error][] = [];

  onCheck(source: Source, entitled: boolean): void {
    this.checks.push([source, entitled]);
  }

  onState(state: CacheState): void {
    this.states.push(state);
  }

  onMessage(kind: MessageKind): void {
    this.messages.push(kind);
  }

  onError(operation: Operation, error: Error): void {
    this.errors.push([operation, error]);
  }
}

export interface RightGiven {
  readonly feature?: string;
  readonly product_id?: string;
  /** Seconds after the start. */
  readonly until?: number;
}

/** Make one that entitles. */
export function entitlement(given: RightGiven, accountId = "acme"): Entitlement {
  return Entitlement.fromPartial({
    accountId,
    feature: given.feature,
    productId: given.product_id,
    entitled: true,
    reason: EntitlementReason.ACTIVE,
    validUntilTime: given.until === undefined ? undefined : new Date(START + given.until * 1000),
  });
}
