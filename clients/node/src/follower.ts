/** Follows the stream of changes, and begins it anew whenever it ends. */

import { setTimeout as pause } from "node:timers/promises";

import { status, type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";

import { Backoff } from "./attempts.js";
import type { Pace } from "./cache-settings.js";
import type { Connection } from "./connection.js";
import { PaidupError, fromGrpc } from "./errors.js";
import type { WatchEntitlementsResponse } from "./generated/paidup/v1/billing_service.js";
import type { Memory } from "./memory.js";
import { errorOf, type Reports } from "./reports.js";

/** Nothing was heard of the service for too long, not even a heartbeat. */
export class StreamLost extends Error {
  override readonly name = "StreamLost";
}

type Stream = ClientReadableStream<WatchEntitlementsResponse>;

export interface FollowerParts {
  readonly connection: Connection;
  readonly memory: Memory;
  readonly pace: Pace;
  readonly reports: Reports;
  readonly rpcTimeoutMs: number;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #stream: Stream | undefined;
  #lost = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.pace);
  }

  /** Follow until closed. Never rejects. */
  async run(): Promise<void> {
    while (!this.#isClosed()) {
      const delay = await this.#follow();
      await pause(delay, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  /** Give a stream up that has been silent for too long. */
  giveUpSilence(): void {
    if (!this.#parts.memory.isStalled() || this.#stream === undefined) return;
    this.#lost = true;
    this.#stream.cancel();
  }

  close(): void {
    this.#closing.abort();
    this.#stream?.cancel();
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Follow one stream to its end; return how long to wait before the next. */
  async #follow(): Promise<number> {
    try {
      const goodbye = await this.#read();
      return goodbye === undefined ? this.#ended(undefined) : this.#saidGoodbye(goodbye);
    } catch (error) {
      return this.#ended(this.#lost ? new StreamLost() : told(error));
    } finally {
      this.#stream = undefined;
      this.#lost = false;
    }
  }

  /** Read a stream to its end; return what its goodbye asked for. */
  async #read(): Promise<number | undefined> {
    const { connection, memory, rpcTimeoutMs } = this.#parts;
    const stream = await connection.watch(() => memory.beginStream(), rpcTimeoutMs);
    this.#stream = stream;
    try {
      // Perhaps closed while a token was fetched.
      if (this.#isClosed()) return undefined;
      for await (const message of stream) {
        const goodbye = this.#take(message as WatchEntitlementsResponse);
        if (goodbye !== undefined) return goodbye;
      }
      return undefined;
    } finally {
      // An error of what has been cancelled is nobody's.
      stream.on("error", () => undefined);
      stream.cancel();
    }
  }

  /** Take in a message; return how long to wait if it was the last. */
  #take(message: WatchEntitlementsResponse): number | undefined {
    const { memory, pace, reports } = this.#parts;
    const kind = memory.take(message);
    if (memory.caughtUp()) this.#backoff.succeeded();
    reports.state();
    reports.observer.onMessage?.(kind);
    if (kind !== "goodbye") return undefined;
    const asked = message.goodbye?.retryDelayMillis ?? 0;
    return Math.min(Math.max(asked, 0), pace.unwatched);
  }

  /** Note how a stream ended; return how long to wait before the next. */
  #ended(error: Error | undefined): number {
    const { memory, pace, reports } = this.#parts;
    memory.endStream();
    if (this.#isClosed()) return 0;
    if (error !== undefined) reports.observer.onError?.("watch", error);
    const code = error instanceof PaidupError ? error.code : undefined;
    if (code === status.UNIMPLEMENTED) {
      memory.cannotWatch();
      reports.state();
      return pace.unwatched;
    }
    // Perhaps the revision to resume from; without one, all is sent anew.
    if (code === status.INVALID_ARGUMENT && memory.resumes()) memory.forget();
    return this.#backoff.nextDelay();
  }

  #saidGoodbye(delay: number): number {
    const { memory } = this.#parts;
    memory.endStream();
    // One that says goodbye before it has told anything is not called without end.
    return memory.caughtUp() ? delay : Math.max(delay, this.#backoff.nextDelay());
  }
}

function told(error: unknown): Error {
  const isOfGrpc = error instanceof Error && "code" in error && "metadata" in error;
  const isOurs = error instanceof PaidupError;
  return isOfGrpc && !isOurs ? fromGrpc(error as ServiceError) : errorOf(error);
}
