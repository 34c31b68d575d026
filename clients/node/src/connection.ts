/** Calls of the service over one channel: deadlines, tokens, and errors of ours. */

import {
  Metadata,
  status,
  type ChannelOptions,
  type ClientReadableStream,
  type ServiceError,
} from "@grpc/grpc-js";

import { Bearer } from "./bearer.js";
import { channelOptions } from "./channel.js";
import { Endpoint, type EndpointOptions } from "./endpoint.js";
import { DeadlineExceeded, Unavailable, fromGrpc } from "./errors.js";
import type {
  WatchEntitlementsRequest,
  WatchEntitlementsResponse,
} from "./generated/paidup/v1/billing_service.js";
import { Lines, type Line } from "./lines.js";
import { WATCH, type Rpc } from "./rpcs.js";

const CLOSED = "The client is closed.";

export interface ConnectionOptions extends EndpointOptions {
  /** gRPC's channel options; they prevail over Paidup's own. */
  readonly channelOptions?: ChannelOptions;
}

/** How one call is made. */
export interface CallOptions {
  /** For the call as a whole: token, connecting and every attempt included. */
  readonly timeoutMs?: number;
  /** Gives the call up; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What goes with a request. */
interface Sent {
  readonly metadata: Metadata;
  readonly deadline: Date;
  readonly signal: AbortSignal | undefined;
}

export class Connection {
  readonly #endpoint: Endpoint;
  readonly #bearer: Bearer;
  readonly #lines: Lines;
  readonly #underWay = new Set<{ cancel(): void }>();
  #closed = false;

  constructor(address: string, options: ConnectionOptions) {
    this.#endpoint = new Endpoint(address, options);
    this.#bearer = new Bearer(this.#endpoint);
    const channel = channelOptions(this.#endpoint, options.channelOptions ?? {});
    this.#lines = new Lines(this.#endpoint, channel);
  }

  async send<Request, Response>(
    rpc: Rpc<Request, Response>,
    request: Request,
    { timeoutMs = rpc.timeoutMs, signal }: CallOptions,
  ): Promise<Response> {
    const deadline = deadlineAfter(timeoutMs);
    this.#requireOpen();
    signal?.throwIfAborted();
    const metadata = await this.#metadata(timeoutMs);
    this.#requireOpen();
    signal?.throwIfAborted();
    const line = this.#lines.borrow();
    try {
      return await this.#unary(line, rpc, request, { metadata, deadline, signal });
    } catch (failed) {
      signal?.throwIfAborted();
      this.#requireOpen();
      throw fromGrpc(failed as ServiceError);
    } finally {
      this.#lines.giveBack(line);
    }
  }

  /** Follow the changes; who follows cancels. `ask` is called when the stream is asked for. */
  async watch(
    ask: () => WatchEntitlementsRequest,
    timeoutMs: number,
  ): Promise<ClientReadableStream<WatchEntitlementsResponse>> {
    this.#requireOpen();
    const metadata = await this.#metadata(timeoutMs);
    this.#requireOpen();
    const { path, requestSerialize, responseDeserialize } = WATCH;
    const request = ask();
    const line = this.#lines.borrow();
    const stream = line.channel.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
    );
    // Comes once, however a stream ends.
    stream.once("status", () => this.#lines.giveBack(line));
    return stream;
  }

  /** @internal How many channels are open. */
  get channels(): number {
    return this.#lines.size;
  }

  async waitForReady(timeoutMs: number): Promise<void> {
    this.#requireOpen();
    const deadline = deadlineAfter(timeoutMs);
    const line = this.#lines.borrow();
    await new Promise<void>((resolve, reject) => {
      line.channel.waitForReady(deadline, (error) => (error ? reject(error) : resolve()));
    })
      .catch((error: unknown) => {
        this.#requireOpen();
        const message = `No server at ${this.#endpoint.address} was ready within ${timeoutMs} ms.`;
        throw new Unavailable(message, { code: status.UNAVAILABLE, cause: error });
      })
      .finally(() => this.#lines.giveBack(line));
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#underWay) call.cancel();
    this.#lines.close();
  }

  #requireOpen(): void {
    if (this.#closed) throw new Error(CLOSED);
  }

  async #metadata(timeoutMs: number): Promise<Metadata> {
    const metadata = new Metadata();
    const authorization = await within(this.#bearer.authorization(), timeoutMs);
    if (authorization !== undefined) metadata.set("authorization", authorization);
    return metadata;
  }

  #unary<Request, Response>(
    { channel }: Line,
    { method }: Rpc<Request, Response>,
    request: Request,
    { metadata, deadline, signal }: Sent,
  ): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = method;
    return new Promise((resolve, reject) => {
      const call = channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        (error, response) => {
          this.#underWay.delete(call);
          signal?.removeEventListener("abort", cancel);
          // gRPC gives a response wherever it gives no error.
          if (error) reject(error);
          else resolve(response as Response);
        },
      );
      const cancel = () => call.cancel();
      this.#underWay.add(call);
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }
}

function deadlineAfter(timeoutMs: number): Date {
  if (!(timeoutMs > 0 && timeoutMs < Infinity)) {
    throw new RangeError("A timeout is a positive number of milliseconds.");
  }
  return new Date(Date.now() + timeoutMs);
}

/** What gives a token may hang, as anything may that is not ours. */
async function within<T>(given: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const facts = { code: status.DEADLINE_EXCEEDED };
    timer = setTimeout(() => {
      reject(new DeadlineExceeded("No token was given in time.", facts));
    }, timeoutMs);
  });
  try {
    return await Promise.race([given, late]);
  } finally {
    clearTimeout(timer);
  }
}
