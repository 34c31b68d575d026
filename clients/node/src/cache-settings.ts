/** What a cache is told to do, checked. */

import type { CacheObserver } from "./decision.js";
import type { Clock } from "./server-time.js";

/** What one stream can name. */
const MOST_NAMED = 10_000;

/** The service sends a heartbeat every five seconds; one may be lost on the way. */
const LEAST_STALENESS_MS = 10_000;

export interface CacheOptions {
  /** What to follow and hold from the start, at most 10,000. Without it: whoever is asked about. */
  readonly accounts?: Iterable<string>;
  /** Memory that the service has not vouched for since is not used; 15 seconds. */
  readonly maxStalenessMs?: number;
  /** For how long what was last known is used while the service is away; an hour. */
  readonly lastKnownGoodMaxAgeMs?: number;
  /** A file in which what is known outlives the process. */
  readonly lastKnownGoodPath?: string;
  /** Whether everybody is entitled of whom nothing is known; otherwise nobody is. */
  readonly failOpen?: boolean;
  /** How many accounts are held at most; 10,000. */
  readonly maxAccounts?: number;
  /** How long a check waits for the service at most; 2 seconds. */
  readonly rpcTimeoutMs?: number;
  readonly observer?: CacheObserver;
  /** @internal For tests. */
  readonly clock?: Clock;
  /** @internal For tests. */
  readonly pace?: Pace;
}

export interface CacheSettings {
  /** Sorted; undefined means: whichever are asked about. */
  readonly accounts: readonly string[] | undefined;
  readonly maxStalenessMs: number;
  readonly lastKnownGoodMaxAgeMs: number;
  readonly lastKnownGoodPath: string | undefined;
  readonly failOpen: boolean;
  readonly maxAccounts: number;
  readonly rpcTimeoutMs: number;
}

/** How quickly a cache tries again, in milliseconds. Tests are in a hurry. */
export interface Pace {
  /** Before the first repetition; each further one waits twice as long. */
  readonly firstRetry: number;
  readonly longestRetry: number;
  /** Before a service that could not be followed is asked whether it can by now. */
  readonly unwatched: number;
  /** How often staleness is looked for. */
  readonly tick: number;
  /** Between two files of what is known. */
  readonly save: number;
}

export const PACE: Pace = {
  firstRetry: 100,
  longestRetry: 10_000,
  unwatched: 60_000,
  tick: 500,
  save: 30_000,
};

export function cacheSettings(options: CacheOptions): CacheSettings {
  const settings: CacheSettings = {
    accounts: named(options.accounts),
    maxStalenessMs: options.maxStalenessMs ?? 15_000,
    lastKnownGoodMaxAgeMs: options.lastKnownGoodMaxAgeMs ?? 3_600_000,
    lastKnownGoodPath: options.lastKnownGoodPath,
    // Anything but true is no consent to give away what is sold.
    failOpen: options.failOpen === true,
    maxAccounts: options.maxAccounts ?? 10_000,
    rpcTimeoutMs: options.rpcTimeoutMs ?? 2_000,
  };
  for (const [holds, rule] of rules(settings)) {
    if (!holds) throw new RangeError(rule);
  }
  return settings;
}

function rules(settings: CacheSettings): [boolean, string][] {
  const { accounts, maxStalenessMs, lastKnownGoodMaxAgeMs, rpcTimeoutMs, maxAccounts } = settings;
  const least = Math.max(1, accounts?.length ?? 0);
  return [
    [
      accounts === undefined || (accounts.length >= 1 && accounts.length <= MOST_NAMED),
      `Name 1 to ${MOST_NAMED} accounts, or none to follow all.`,
    ],
    [
      maxStalenessMs >= LEAST_STALENESS_MS && maxStalenessMs < Infinity,
      `maxStalenessMs is ${LEAST_STALENESS_MS} or more.`,
    ],
    [
      lastKnownGoodMaxAgeMs >= 0 && lastKnownGoodMaxAgeMs < Infinity,
      "lastKnownGoodMaxAgeMs is 0 or more.",
    ],
    [rpcTimeoutMs > 0 && rpcTimeoutMs < Infinity, "rpcTimeoutMs is a positive number."],
    [maxAccounts >= least && maxAccounts < Infinity, "maxAccounts is too small, or no number."],
  ];
}

function named(accounts: Iterable<string> | undefined): string[] | undefined {
  if (typeof accounts === "string") {
    throw new TypeError("accounts is a list of ids, not one.");
  }
  return accounts && [...new Set(accounts)].sort();
}
