/** The cache: checks from memory. */

import { PACE, cacheSettings, type CacheOptions, type CacheSettings } from "./cache-settings.js";
import { BillingClient } from "./client.js";
import {
  question,
  type CacheState,
  type Decision,
  type Question,
  type Subject,
} from "./decision.js";
import { Follower } from "./follower.js";
import { EntitlementReason } from "./generated/paidup/v1/entitlement.js";
import * as file from "./last-known-good.js";
import { Loads } from "./loads.js";
import { Memory } from "./memory.js";
import { Reports, errorOf } from "./reports.js";
import { machineClock, type Clock } from "./server-time.js";

const CLOSED = "The cache is closed.";

/** Answers checks from memory, which it keeps true by following the service. */
export class EntitlementCache {
  readonly #settings: CacheSettings;
  readonly #clock: Clock;
  readonly #memory: Memory;
  readonly #reports: Reports;
  readonly #client: BillingClient;
  readonly #ownsClient: boolean;
  readonly #follower: Follower;
  readonly #loads: Loads;
  readonly #saveEvery: number;
  #following: Promise<void> | undefined;
  #saving: Promise<void> | undefined;
  #savedAt: number;
  #ticking: NodeJS.Timeout | undefined;
  #open = true;

  private constructor(service: BillingClient | string, options: CacheOptions) {
    this.#settings = cacheSettings(options);
    this.#clock = options.clock ?? machineClock();
    this.#memory = new Memory(this.#settings, this.#clock);
    this.#reports = new Reports(this.#memory, options.observer);
    this.#ownsClient = typeof service === "string";
    this.#client = typeof service === "string" ? new BillingClient(service) : service;
    const now = this.#clock.monotonic;
    const pace = options.pace ?? PACE;
    const parts = {
      connection: this.#client.connection,
      memory: this.#memory,
      reports: this.#reports,
    };
    const { rpcTimeoutMs } = this.#settings;
    this.#follower = new Follower({ ...parts, pace, rpcTimeoutMs });
    this.#loads = new Loads({ ...parts, settings: this.#settings, now });
    this.#saveEvery = pace.save;
    this.#savedAt = now();
  }

  /**
   * Follow the service of a client, or at an address. Does not wait for the service.
   *
   * Memory that the service has not vouched for within `maxStalenessMs` is not used;
   * then each check asks the service, for `rpcTimeoutMs` at most. Where it does not
   * answer, what was last known is used until it is `lastKnownGoodMaxAgeMs` old. After
   * that nobody is entitled or, with `failOpen`, everybody.
   */
  static async open(
    service: BillingClient | string,
    options: CacheOptions = {},
  ): Promise<EntitlementCache> {
    const cache = new EntitlementCache(service, options);
    await cache.#restore();
    cache.#following = cache.#follower.run();
    cache.#ticking = setInterval(() => cache.#tick(), (options.pace ?? PACE).tick);
    return cache;
  }

  get state(): CacheState {
    return this.#memory.state();
  }

  /**
   * Say whether an account may use one feature or product: from memory, or else ask
   * the service. When that does not answer, go by what was last known or by the settings.
   *
   * Rejects with InvalidRequest for what can be no account's id.
   */
  async check(accountId: string, subject: Subject): Promise<boolean> {
    return (await this.decide(accountId, subject)).entitled;
  }

  /** Do as `check`, and tell where the answer came from. */
  async decide(accountId: string, subject: Subject): Promise<Decision> {
    const asked = question(accountId, subject);
    return this.#reports.check(this.#memory.decide(asked) ?? (await this.#ask(asked)));
  }

  /**
   * Say from memory, at once, whether an account may use one feature or product.
   *
   * Never waits. Where memory does not say, the answer is the last known good one or
   * what the settings say, and the service is asked in the background, so that memory
   * says it soon.
   */
  entitled(accountId: string, subject: Subject): boolean {
    return this.peek(accountId, subject).entitled;
  }

  /** Do as `entitled`, and tell where the answer came from. */
  peek(accountId: string, subject: Subject): Decision {
    const asked = question(accountId, subject);
    const decision = this.#memory.decide(asked);
    if (decision !== undefined) return this.#reports.check(decision);
    if (this.#open) this.#loads.want(accountId);
    return this.#reports.check(this.#withoutService(asked));
  }

  /**
   * Wait, at start-up for example, until memory can be used or is known to be no use.
   *
   * Rejects with `Unavailable` after `timeoutMs`, 10 seconds if not told. The cache goes
   * on trying.
   */
  async waitUntilReady({ timeoutMs = 10_000 }: { timeoutMs?: number } = {}): Promise<void> {
    await this.#reports.settled(timeoutMs);
  }

  /** End following, and save what is known. A client that was given stays open. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#ticking);
    this.#follower.close();
    this.#loads.close();
    await this.#following;
    await this.#saving;
    await this.#save();
    if (this.#ownsClient) this.#client.close();
  }

  async #ask(asked: Question): Promise<Decision> {
    if (!this.#open) throw new Error(CLOSED);
    const held = await this.#loads.ask(asked.accountId);
    return held === undefined ? this.#withoutService(asked) : this.#memory.answered(asked, held);
  }

  #withoutService(asked: Question): Decision {
    return this.#memory.lastKnown(asked) ?? this.#fallback(asked);
  }

  #fallback(asked: Question): Decision {
    return {
      ...asked,
      entitled: this.#settings.failOpen,
      source: "fallback",
      reason: EntitlementReason.UNSPECIFIED,
      quantity: 0,
      validUntilTime: undefined,
      ageMs: undefined,
    };
  }

  #tick(): void {
    this.#reports.state();
    this.#follower.giveUpSilence();
    const due = this.#clock.monotonic() >= this.#savedAt + this.#saveEvery;
    if (due) this.#saving ??= this.#save().finally(() => (this.#saving = undefined));
  }

  // The file.

  async #restore(): Promise<void> {
    const { lastKnownGoodPath: path, lastKnownGoodMaxAgeMs: most } = this.#settings;
    if (path === undefined) return;
    try {
      const known = await file.load(path, this.#clock.wall(), most);
      const now = this.#clock.monotonic();
      for (const [accountId, [held, age]] of known) {
        held.asOf = now - age;
        this.#memory.remember(accountId, held);
      }
    } catch (error) {
      this.#reports.observer.onError?.("restore", errorOf(error));
    }
  }

  /** Never rejects: it is done again by itself. */
  async #save(): Promise<void> {
    const { lastKnownGoodPath: path, lastKnownGoodMaxAgeMs: most } = this.#settings;
    if (path === undefined) return;
    this.#savedAt = this.#clock.monotonic();
    const all = [...this.#memory.accounts.byId].map(
      ([accountId, held]) => [accountId, [held, this.#memory.age(held)]] as const,
    );
    const known = new Map(all.filter(([, [, age]]) => age <= most));
    try {
      await file.save(path, known, this.#clock.wall());
    } catch (error) {
      this.#reports.observer.onError?.("save", errorOf(error));
    }
  }
}
