/**
 * Channels that take each other's place when certificates are renewed.
 *
 * gRPC gives a channel its certificates once. So renewed ones need another channel. The
 * first goes on until the second is connected, and is closed when the last call over it
 * has ended: no call fails because certificates were renewed, nor because the service
 * does not accept the new ones yet.
 */

import {
  Client,
  connectivityState,
  type ChannelCredentials,
  type ChannelOptions,
} from "@grpc/grpc-js";

import { channelCredentials } from "./certificates.js";
import type { Endpoint } from "./endpoint.js";

/** After so long without a connection, renewed certificates are worth a warning. */
const PATIENCE_MS = 30_000;

/** A channel, and how many calls are under way over it. */
export interface Line {
  readonly channel: Client;
  readonly credentials: ChannelCredentials;
  calls: number;
  warnAt: number;
}

export class Lines {
  readonly #endpoint: Endpoint;
  readonly #options: ChannelOptions;
  readonly #credentials: () => ChannelCredentials;
  #current: Line;
  #next: Line | undefined;
  readonly #retired = new Set<Line>();
  #closed = false;

  /** Open the first; throw for certificates that cannot be used. */
  constructor(endpoint: Endpoint, options: ChannelOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#credentials = channelCredentials(endpoint);
    this.#current = this.#open(this.#credentials());
  }

  /** How many channels are open. */
  get size(): number {
    return 1 + this.#retired.size + (this.#next === undefined ? 0 : 1);
  }

  /** Return the line for a call that begins now, to be given back once. */
  borrow(): Line {
    if (!this.#closed) this.#follow(this.#credentials());
    this.#current.calls += 1;
    return this.#current;
  }

  giveBack(line: Line): void {
    line.calls -= 1;
    this.#closeUnused();
  }

  close(): void {
    this.#closed = true;
    for (const line of [this.#current, this.#next, ...this.#retired]) line?.channel.close();
  }

  #follow(credentials: ChannelCredentials): void {
    if (credentials !== (this.#next ?? this.#current).credentials) this.#begin(credentials);
    const next = this.#next;
    if (next === undefined) return;
    // Nothing is lost with one that is not connected; it would connect with what is out of date.
    if (isReady(next, true) || !isReady(this.#current, false)) this.#promote(next);
    else this.#warn(next);
  }

  #begin(credentials: ChannelCredentials): void {
    if (this.#next !== undefined) this.#retired.add(this.#next);
    this.#next = this.#open(credentials);
    this.#closeUnused();
  }

  #promote(line: Line): void {
    this.#retired.add(this.#current);
    this.#current = line;
    this.#next = undefined;
    this.#closeUnused();
  }

  #warn(line: Line): void {
    if (performance.now() < line.warnAt) return;
    line.warnAt = Infinity;
    const { address, warn } = this.#endpoint;
    warn(`No connection to ${address} by the renewed certificates yet; calls go by earlier ones.`);
  }

  #closeUnused(): void {
    for (const line of this.#retired) {
      if (line.calls > 0) continue;
      this.#retired.delete(line);
      line.channel.close();
    }
  }

  #open(credentials: ChannelCredentials): Line {
    const channel = new Client(this.#endpoint.address, credentials, this.#options);
    return { channel, credentials, calls: 0, warnAt: performance.now() + PATIENCE_MS };
  }
}

function isReady(line: Line, connect: boolean): boolean {
  return line.channel.getChannel().getConnectivityState(connect) === connectivityState.READY;
}
