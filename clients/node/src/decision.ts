/** What a cache answers, where the answer came from, and how the cache fares. */

import type { EntitlementReason } from "./generated/paidup/v1/entitlement.js";

/**
 * Where an answer came from, the best first.
 *
 * - `memory`: from memory, no older than `maxStalenessMs`.
 * - `rpc`: the service was asked for this answer.
 * - `last_known_good`: from memory or a file, no older than `lastKnownGoodMaxAgeMs`.
 * - `fallback`: nothing is known: the answer is what the settings say.
 */
export type Source = "memory" | "rpc" | "last_known_good" | "fallback";

/**
 * How far what a cache holds can be trusted.
 *
 *     connecting ──► ready ◄──► stale
 *          └───────────┴──► unwatched ──► ready
 *
 * - `connecting`: the service has not been heard yet.
 * - `ready`: all that is held was whole no longer than `maxStalenessMs` ago.
 * - `stale`: it was, but nothing has been heard for too long, or changes were missed.
 * - `unwatched`: the service cannot be followed: every answer is asked for, and kept for
 *   `maxStalenessMs`. It is asked now and then whether it can by now.
 */
export type CacheState = "connecting" | "ready" | "stale" | "unwatched";

/** A feature (by its lookup key) or a product; one of the two. */
export type Subject =
  | { readonly feature: string; readonly productId?: undefined }
  | { readonly productId: string; readonly feature?: undefined };

export interface Question {
  readonly accountId: string;
  readonly feature: string | undefined;
  readonly productId: string | undefined;
}

/** Whether an account may use a feature or product. Look at `entitled`: every object is truthy. */
export interface Decision extends Question {
  readonly entitled: boolean;
  readonly source: Source;
  /** Why it is entitled. Unspecified where it is not: a client's `checkEntitlement` tells why. */
  readonly reason: EntitlementReason;
  /** Units paid for; 0 where it is not entitled. */
  readonly quantity: number;
  /** Until when time alone changes nothing; undefined where it never does. */
  readonly validUntilTime: Date | undefined;
  /** Since the service last vouched for it; undefined for a fallback. */
  readonly ageMs: number | undefined;
}

/** Is told what a cache does, to count it. Must neither block nor throw. */
export interface CacheObserver {
  /** Hear of an answer. Called on the hot path. */
  onCheck?(source: Source, entitled: boolean): void;
  /** Hear that the state is another one now. */
  onState?(state: CacheState): void;
  /** Hear of a message of the stream. */
  onMessage?(kind: MessageKind): void;
  /** Hear that something failed. All but `restore` is done again by itself. */
  onError?(operation: Operation, error: Error): void;
}

export type MessageKind = "account" | "reset" | "goodbye" | "heartbeat";

export type Operation = "watch" | "load" | "save" | "restore";

export function question(accountId: string, subject: Subject): Question {
  const { feature, productId } = subject;
  if ((feature === undefined) === (productId === undefined)) {
    throw new TypeError("Name either a feature or a productId.");
  }
  return { accountId, feature, productId };
}
