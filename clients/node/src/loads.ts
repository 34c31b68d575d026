/** Asks the service for accounts that memory does not know: once for all who want to know. */

import { Breaker } from "./attempts.js";
import type { CacheSettings } from "./cache-settings.js";
import type { Connection } from "./connection.js";
import { InvalidRequest, PaidupError } from "./errors.js";
import { ErrorReason } from "./generated/paidup/v1/error_reason.js";
import type { Held } from "./held.js";
import type { Load, Memory } from "./memory.js";
import { errorOf, type Reports } from "./reports.js";
import { listRequest } from "./requests.js";
import { RPCS } from "./rpcs.js";

/** Accounts that are asked for in the background at a time; others wait to be asked about again. */
const MOST_WANTED = 100;

export interface LoadsParts {
  readonly connection: Connection;
  readonly memory: Memory;
  readonly settings: CacheSettings;
  readonly reports: Reports;
  readonly now: () => number;
}

export class Loads {
  readonly #parts: LoadsParts;
  readonly #breaker: Breaker;
  readonly #underWay = new Map<string, Promise<Held>>();
  readonly #wanted = new Set<string>();
  readonly #closing = new AbortController();

  constructor(parts: LoadsParts) {
    this.#parts = parts;
    this.#breaker = new Breaker(parts.now);
  }

  /** Ask for an account; undefined where the service does not answer. Rejects a wrong request. */
  async ask(accountId: string): Promise<Held | undefined> {
    if (!this.#breaker.allows()) return undefined;
    try {
      return await this.#loading(accountId);
    } catch (error) {
      if (isTheCallers(error) || !(error instanceof PaidupError)) throw error;
      return undefined;
    }
  }

  /** Have an account asked for in the background. */
  want(accountId: string): void {
    if (this.#wanted.has(accountId) || this.#wanted.size >= MOST_WANTED) return;
    if (!this.#breaker.allows()) return;
    this.#wanted.add(accountId);
    this.#loading(accountId)
      .catch(() => undefined) // has been told; perhaps nobody waits for it
      .finally(() => this.#wanted.delete(accountId));
  }

  close(): void {
    this.#closing.abort(new Error("The cache is closed."));
  }

  /** Return the one load of the account that is under way. */
  #loading(accountId: string): Promise<Held> {
    const already = this.#underWay.get(accountId);
    if (already !== undefined) return already;
    const loading = this.#load(accountId).finally(() => this.#underWay.delete(accountId));
    this.#underWay.set(accountId, loading);
    return loading;
  }

  async #load(accountId: string): Promise<Held> {
    const { connection, memory, settings } = this.#parts;
    const load = memory.beginLoad(accountId);
    const request = listRequest({
      accountId,
      atLeastRevision: load.atLeastRevision || undefined,
    });
    try {
      const response = await connection.send(RPCS.listEntitlements, request, {
        timeoutMs: settings.rpcTimeoutMs,
        signal: this.#closing.signal,
      });
      this.#breaker.succeeded();
      return memory.finishLoad(load, response.entitlements);
    } catch (error) {
      this.#failed(load, error);
      throw error;
    }
  }

  #failed(load: Load, error: unknown): void {
    this.#parts.memory.abandonLoad(load);
    if (isTheCallers(error) || this.#closing.signal.aborted) return;
    this.#breaker.failed();
    this.#parts.reports.observer.onError?.("load", errorOf(error));
  }
}

/** Tell whether the request was wrong, which no other answer must hide. */
function isTheCallers(error: unknown): boolean {
  return error instanceof InvalidRequest && error.reason === ErrorReason.INVALID_REQUEST;
}
