/**
 * What a cache remembers, and whether that may be used. No I/O in here.
 *
 * Three rules make its answers right:
 *
 * 1. What the stream tells replaces what is held, in the order of the stream. What is
 *    held was whole when the newest heartbeat was sent, or the newest change that moved
 *    the revision on.
 * 2. What is asked for must be at least as fresh as the stream's position when it is
 *    asked for, so it lacks nothing that the stream has told already; all later changes
 *    are still to come. What the stream tells meanwhile is newer, and stays.
 * 3. Time: nothing is used past `validUntilTime`, by the service's clock.
 */

import type { CacheSettings } from "./cache-settings.js";
import type { CacheState, Decision, MessageKind, Question, Source } from "./decision.js";
import { EntitlementReason, type Entitlement } from "./generated/paidup/v1/entitlement.js";
import {
  WatchEntitlementsRequest,
  type WatchEntitlementsResponse,
} from "./generated/paidup/v1/billing_service.js";
import { Accounts, heldOf, type Held, type Right } from "./held.js";
import { ServerTime, type Clock } from "./server-time.js";

/** An account that is being asked for. */
export interface Load {
  readonly accountId: string;
  readonly begun: number;
  /** The stream's position: the answer must reflect it. Empty while there is none. */
  readonly atLeastRevision: string;
  readonly history: number;
  /** Whether the stream has told of the account meanwhile. */
  overtaken: boolean;
}

/** Accounts as the stream and RPCs told of them. Times are monotonic milliseconds. */
export class Memory {
  readonly accounts: Accounts;
  readonly time: ServerTime;
  /** Until when what is watched may be used. */
  freshUntil = -Infinity;
  readonly #settings: CacheSettings;
  readonly #named: ReadonlySet<string> | undefined;
  readonly #now: () => number;
  #asOf = -Infinity;
  #position = "";
  /** Goes up whenever changes were missed. */
  #history = 0;
  #heard = false;
  #wasReady = false;
  #caughtUp = false;
  #unwatched = false;
  #progress = Infinity;
  readonly #loads = new Map<string, Load>();

  constructor(settings: CacheSettings, clock: Clock) {
    this.accounts = new Accounts(settings.maxAccounts);
    this.time = new ServerTime(clock);
    this.#settings = settings;
    this.#named = settings.accounts && new Set(settings.accounts);
    this.#now = clock.monotonic;
  }

  // What the stream tells.

  /** Return what to ask for, at once. */
  beginStream(): WatchEntitlementsRequest {
    this.time.begin();
    this.#progress = this.#now();
    this.#caughtUp = false;
    return WatchEntitlementsRequest.fromPartial({
      accountIds: [...(this.#settings.accounts ?? [])],
      resumeRevision: this.#position,
    });
  }

  /** Take in the stream's next message; return its kind. */
  take(message: WatchEntitlementsResponse): MessageKind {
    const kind = kindOf(message);
    const sent = this.#sent(message);
    const movedOn = message.revision !== "" && message.revision !== this.#position;
    this.#takeKind[kind](message);
    this.#position = message.revision || this.#position;
    this.#progress = Math.max(this.#progress, sent);
    // Of changes that belong together only the last moves the revision on.
    if (kind === "heartbeat" || movedOn) this.#vouched(sent);
    return kind;
  }

  /** Tell whether the stream has come to the present. */
  caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Tell whether a stream is open and has not been heard for too long. */
  isStalled(): boolean {
    return this.#now() >= this.#progress + this.#settings.maxStalenessMs;
  }

  endStream(): void {
    this.#progress = Infinity;
  }

  /** Drop everything: changes were missed. */
  forget(): void {
    this.freshUntil = -Infinity;
    this.#asOf = -Infinity;
    this.#history += 1;
    this.#position = "";
    this.#caughtUp = false;
    this.accounts.byId.clear();
  }

  /** Tell whether the next stream goes on from a revision. */
  resumes(): boolean {
    return this.#position !== "";
  }

  /** Note that the service has no stream. */
  cannotWatch(): void {
    this.#unwatched = true;
  }

  #sent(message: WatchEntitlementsResponse): number {
    this.#unwatched = false;
    const sendTime = message.sendTime?.getTime() ?? NaN;
    if (Number.isNaN(sendTime)) return -Infinity;
    this.#heard = true;
    return this.time.sent(sendTime, this.#now());
  }

  readonly #takeKind: Record<MessageKind, (message: WatchEntitlementsResponse) => void> = {
    account: (message) => this.#takeAccount(message),
    reset: () => this.forget(),
    heartbeat: () => {
      this.#caughtUp = true;
    },
    goodbye: () => {
      // Whoever reads the stream ends it.
    },
  };

  #takeAccount({ account }: WatchEntitlementsResponse): void {
    if (account === undefined) return;
    const load = this.#loads.get(account.accountId);
    if (load !== undefined) load.overtaken = true;
    if (load === undefined && !this.#isWanted(account.accountId)) return;
    const held = heldOf(account.entitlements);
    held.watched = true;
    this.accounts.put(account.accountId, held);
  }

  #vouched(sent: number): void {
    // Before the first heartbeat, older changes may still be on their way.
    if (!this.#caughtUp || sent <= this.#asOf) return;
    this.#asOf = sent;
    this.freshUntil = sent + this.#settings.maxStalenessMs;
    this.#wasReady = true;
  }

  #isWanted(accountId: string): boolean {
    return this.accounts.byId.has(accountId) || this.#named?.has(accountId) === true;
  }

  // What is asked for.

  beginLoad(accountId: string): Load {
    const load: Load = {
      accountId,
      begun: this.#now(),
      atLeastRevision: this.#position,
      history: this.#history,
      overtaken: false,
    };
    this.#loads.set(accountId, load);
    return load;
  }

  /** Remember the answer, unless the stream has told a newer one. Return the answer. */
  finishLoad(load: Load, entitlements: Iterable<Entitlement>): Held {
    const held = heldOf(entitlements);
    this.abandonLoad(load);
    if (load.overtaken) return held;
    if (!this.#heard) this.time.askWallClock();
    held.asOf = load.begun;
    held.freshUntil = load.begun + this.#settings.maxStalenessMs;
    held.watched = this.#willBeTold(load);
    held.asked = true;
    this.accounts.put(load.accountId, held);
    return held;
  }

  abandonLoad(load: Load): void {
    this.#loads.delete(load.accountId);
  }

  /** Tell whether the stream will tell of every change after the answer. */
  #willBeTold(load: Load): boolean {
    const followed = this.#named === undefined || this.#named.has(load.accountId);
    return followed && load.atLeastRevision !== "" && load.history === this.#history;
  }

  /** Take in what an earlier process knew. */
  remember(accountId: string, held: Held): void {
    if (!this.accounts.byId.has(accountId)) this.accounts.put(accountId, held);
  }

  // What is answered.

  state(): CacheState {
    if (this.#now() < this.freshUntil) return "ready";
    if (this.#unwatched) return "unwatched";
    return this.#wasReady ? "stale" : "connecting";
  }

  age(held: Held): number {
    const asOf = held.watched ? Math.max(held.asOf, this.#asOf) : held.asOf;
    return this.#now() - asOf;
  }

  /** Decide from what is fresh; undefined where that does not say. */
  decide(asked: Question): Decision | undefined {
    const held = this.accounts.byId.get(asked.accountId);
    if (held === undefined || !this.#isFresh(held)) return undefined;
    held.asked = true;
    const right = held.right(asked);
    if (right !== undefined && this.#hasEnded(right)) return undefined;
    return this.#decision(asked, held, right, "memory");
  }

  /** Pass on what the service has just decided, by its own clock. */
  answered(asked: Question, held: Held): Decision {
    return this.#decision(asked, held, held.right(asked), "rpc");
  }

  /** Decide from what is no longer fresh; undefined where that is unknown or too old. */
  lastKnown(asked: Question): Decision | undefined {
    const held = this.accounts.byId.get(asked.accountId);
    if (held === undefined) return undefined;
    const right = held.right(asked);
    // What has ended does not begin again because nobody can be asked, however old it is.
    if (right !== undefined && this.#hasEnded(right)) {
      return this.#decision(asked, held, undefined, "last_known_good");
    }
    if (this.age(held) > this.#settings.lastKnownGoodMaxAgeMs) return undefined;
    return this.#decision(asked, held, right, "last_known_good");
  }

  #isFresh(held: Held): boolean {
    const now = this.#now();
    return now < held.freshUntil || (held.watched && now < this.freshUntil);
  }

  #hasEnded(right: Right): boolean {
    return this.#now() + this.time.ahead >= right.until;
  }

  #decision(asked: Question, held: Held, right: Right | undefined, source: Source): Decision {
    const until = right?.until ?? Infinity;
    return {
      ...asked,
      entitled: right !== undefined,
      source,
      reason: right?.reason ?? EntitlementReason.UNSPECIFIED,
      quantity: right?.quantity ?? 0,
      validUntilTime: Number.isFinite(until) ? new Date(until) : undefined,
      ageMs: this.age(held),
    };
  }
}

/** What a newer service may send beside these tells nothing but that it is there. */
function kindOf(message: WatchEntitlementsResponse): MessageKind {
  if (message.account !== undefined) return "account";
  if (message.reset !== undefined) return "reset";
  return message.goodbye === undefined ? "heartbeat" : "goodbye";
}
