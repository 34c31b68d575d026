/** When to try again: streams that ended, and RPCs while the service is away. */

import type { Pace } from "./cache-settings.js";

/** Waits that double, with jitter, so that many callers do not come back at once. */
export class Backoff {
  readonly #pace: Pace;
  #failures = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  nextDelay(): number {
    const delay = Math.min(this.#pace.longestRetry, this.#pace.firstRetry * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return delay * (0.5 + Math.random() / 2);
  }
}

/** Keeps checks from waiting, one after the other, for a service that is away. */
export class Breaker {
  /** Failures in a row before it opens. */
  static readonly FAILURES = 3;
  /** Milliseconds for which nothing is asked then. */
  static readonly PAUSE = 1000;

  readonly #now: () => number;
  #failures = 0;
  #closedFrom = -Infinity;

  constructor(now: () => number) {
    this.#now = now;
  }

  allows(): boolean {
    return this.#now() >= this.#closedFrom;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(): void {
    this.#failures += 1;
    if (this.#failures >= Breaker.FAILURES) this.#closedFrom = this.#now() + Breaker.PAUSE;
  }
}
