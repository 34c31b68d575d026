/** A billing service that says what a test told it to, over genuine gRPC. */

import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

import * as messages from "../src/generated/paidup/v1/billing_service.js";
import {
  BillingServiceService,
  ListEntitlementsResponse,
  WatchEntitlementsResponse,
  type ListEntitlementsRequest,
  type WatchEntitlementsRequest,
} from "../src/generated/paidup/v1/billing_service.js";
import type { Entitlement } from "../src/generated/paidup/v1/entitlement.js";
import { RPCS } from "../src/rpcs.js";
import { Gate, eventually } from "./waiting.js";

export class Failure {
  constructor(
    readonly code: status,
    readonly details = "no",
    readonly packed?: Buffer,
  ) {}

  get metadata(): Metadata {
    const metadata = new Metadata();
    if (this.packed !== undefined) metadata.set("grpc-status-details-bin", this.packed);
    return metadata;
  }
}

/** No answer before the test releases it. */
export const SILENCE = Symbol("silence");

const REFUSED = new Failure(status.UNAUTHENTICATED, "Who calls?");

type Answer = object | Failure | typeof SILENCE;

interface Received {
  readonly rpc: string;
  readonly request: Record<string, unknown>;
  readonly metadata: Metadata;
  readonly remainingMs: number;
  /** The common name of the caller's certificate; empty without one. */
  readonly caller: string;
}

type Unary = ServerUnaryCall<Record<string, unknown>, object>;

export class Stream {
  readonly request: WatchEntitlementsRequest;
  readonly #call: ServerWritableStream<WatchEntitlementsRequest, WatchEntitlementsResponse>;

  constructor(call: ServerWritableStream<WatchEntitlementsRequest, WatchEntitlementsResponse>) {
    this.request = call.request;
    this.#call = call;
  }

  get caller(): string {
    return callerOf(this.#call);
  }

  get cancelled(): boolean {
    return this.#call.cancelled;
  }

  send(message: Parameters<typeof WatchEntitlementsResponse.fromPartial>[0]): void {
    this.#call.write(WatchEntitlementsResponse.fromPartial(message));
  }

  end(code: status): void {
    if (code === status.OK) this.#call.end();
    else this.#call.emit("error", { code, details: "no" });
  }
}

export class ScriptedService {
  address = "";
  readonly received: Received[] = [];
  readonly streams: Stream[] = [];
  /** What ListEntitlements answers, by account; nothing for others. */
  readonly lists = new Map<string, Entitlement[] | Failure>();
  readonly listed: ListEntitlementsRequest[] = [];
  /** What calls have to bring, where nobody else is let in. */
  token: string | undefined;
  /** Calls that are to be answered only when the test says so. */
  readonly released = new Gate();
  /** While set, lists are answered only after it. */
  hold: Promise<void> | undefined;
  readonly #answers = new Map<string, Answer[]>();
  #server = new Server();

  static async start(
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
    address = "127.0.0.1:0",
  ): Promise<ScriptedService> {
    const service = new ScriptedService();
    await service.listen(address, credentials);
    return service;
  }

  async listen(address: string, credentials: ServerCredentials): Promise<void> {
    this.#server = new Server();
    this.#server.addService(BillingServiceService, this.#methods());
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    this.address = address.replace(/:0$/, `:${port}`);
  }

  /** End the server at once, as if it had been killed. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Give these answers, one after the other, then empty ones. */
  answer(rpc: string, ...answers: Answer[]): void {
    this.#answers.set(rpc, [...(this.#answers.get(rpc) ?? []), ...answers]);
  }

  async nextStream(): Promise<Stream> {
    await eventually(() => this.streams.length > 0);
    const stream = this.streams.shift();
    if (stream === undefined) throw new Error("Another took the stream.");
    return stream;
  }

  #methods(): UntypedServiceImplementation {
    const scripted = Object.keys(RPCS).map((rpc) => [
      rpc,
      (call: Unary, reply: sendUnaryData<object>) => this.#serve(rpc, call, reply),
    ]);
    return {
      ...(Object.fromEntries(scripted) as UntypedServiceImplementation),
      listEntitlements: (
        call: ServerUnaryCall<ListEntitlementsRequest, ListEntitlementsResponse>,
        reply: sendUnaryData<ListEntitlementsResponse>,
      ) => void this.#list(call, reply),
      watchEntitlements: (
        call: ServerWritableStream<WatchEntitlementsRequest, WatchEntitlementsResponse>,
      ) => {
        const stream = new Stream(call);
        if (this.#admits(call.metadata)) this.streams.push(stream);
        else stream.end(status.UNAUTHENTICATED);
      },
    };
  }

  #admits(metadata: Metadata): boolean {
    return this.token === undefined || metadata.get("authorization")[0] === `Bearer ${this.token}`;
  }

  #serve(rpc: string, call: Unary, reply: sendUnaryData<object>): void {
    const { request, metadata } = call;
    const remainingMs = new Date(call.getDeadline()).getTime() - Date.now();
    if (!this.#admits(metadata)) {
      reply(failed(REFUSED));
      return;
    }
    this.received.push({ rpc, request, metadata, remainingMs, caller: callerOf(call) });
    const answer = this.#answers.get(rpc)?.shift() ?? {};
    if (answer === SILENCE) {
      void this.released.passed.then(() => reply(null, whole(rpc, {})));
      return;
    }
    if (answer instanceof Failure) reply(failed(answer));
    else reply(null, whole(rpc, answer));
  }

  async #list(
    call: ServerUnaryCall<ListEntitlementsRequest, ListEntitlementsResponse>,
    reply: sendUnaryData<ListEntitlementsResponse>,
  ): Promise<void> {
    if (!this.#admits(call.metadata)) {
      reply(failed(REFUSED));
      return;
    }
    this.listed.push(call.request);
    const answer = this.lists.get(call.request.accountId) ?? [];
    await this.hold;
    if (answer instanceof Failure) reply(failed(answer));
    else reply(null, { entitlements: answer, revision: "r-list" });
  }
}

function callerOf(call: Pick<Unary, "getAuthContext">): string {
  return call.getAuthContext().sslPeerCertificate?.subject.CN ?? "";
}

function failed({ code, details, metadata }: Failure) {
  return { code, details, metadata };
}

/** Make an RPC's response of what a test said of it. */
function whole(rpc: string, answer: object): object {
  const name = `${rpc.charAt(0).toUpperCase()}${rpc.slice(1)}Response`;
  const made = (messages as unknown as Record<string, messages.MessageFns<object>>)[name];
  if (made === undefined) throw new Error(`There is no ${name}.`);
  return made.fromPartial(answer);
}
