/** Who hears of what a cache does: its observer, and those who wait until it is ready. */

import { status } from "@grpc/grpc-js";

import type { CacheObserver, CacheState, Decision } from "./decision.js";
import { Unavailable } from "./errors.js";
import type { Memory } from "./memory.js";

/** States in which waiting longer brings nothing. */
const SETTLED: ReadonlySet<CacheState> = new Set(["ready", "unwatched"]);

export class Reports {
  readonly observer: CacheObserver;
  readonly #memory: Memory;
  readonly #waiting = new Set<() => void>();
  #told: CacheState = "connecting";

  constructor(memory: Memory, observer: CacheObserver | undefined) {
    this.#memory = memory;
    this.observer = observer ?? {};
  }

  state(): void {
    const state = this.#memory.state();
    if (SETTLED.has(state)) {
      for (const done of this.#waiting) done();
    }
    if (state === this.#told) return;
    this.#told = state;
    this.observer.onState?.(state);
  }

  check(decision: Decision): Decision {
    this.observer.onCheck?.(decision.source, decision.entitled);
    return decision;
  }

  /** Wait until memory can be used, or is known to be no use. */
  async settled(timeoutMs: number): Promise<void> {
    if (SETTLED.has(this.#memory.state())) return;
    await new Promise<void>((resolve, reject) => {
      const late = () => {
        this.#waiting.delete(done);
        const message = `Entitlements could not be followed within ${timeoutMs} ms.`;
        reject(new Unavailable(message, { code: status.UNAVAILABLE }));
      };
      const timer = setTimeout(late, timeoutMs);
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
    });
  }
}

/** Whatever was thrown, as an error that can be told. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
