/**
 * What a failed call says beside its code, read from its trailing metadata.
 *
 * The service packs `google.rpc` messages into `grpc-status-details-bin`. Their generated
 * code is a package of its own, which callers need not have: the few fields that are read
 * here are read from the wire.
 */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Metadata } from "@grpc/grpc-js";

const METADATA_KEY = "grpc-status-details-bin";

/** Reasons of anyone else, such as a proxy on the way, are not ours to interpret. */
const DOMAIN = "paidup.dev";

/** A field of the request that breaks its rule. */
export interface FieldViolation {
  /** Where it is, such as `line_items[0].price`. */
  readonly field: string;
  /** What is wrong with it, in a sentence. */
  readonly description: string;
}

/** The readable part of the details; whatever is absent or malformed is empty. */
export interface ErrorDetails {
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;
}

/** A message's fields by number: bytes, or a number where it is one. */
type Fields = ReadonlyMap<number, readonly (Uint8Array | number)[]>;

interface Info {
  readonly reason: string;
  readonly metadata: Record<string, string>;
}

/** Read what can be read. Never throws: the call's code stands without it. */
export function readDetails(trailing: Metadata | undefined): ErrorDetails {
  const packed = (trailing?.get(METADATA_KEY) ?? []).flatMap((value) =>
    typeof value === "string" ? [] : (readable(packedIn, value) ?? []),
  );
  const info = first(packed, "google.rpc.ErrorInfo", ownErrorInfo);
  return {
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fieldViolations: first(packed, "google.rpc.BadRequest", violations) ?? [],
    retryDelayMs: first(packed, "google.rpc.RetryInfo", retryDelay),
  };
}

interface Packed {
  readonly type: string;
  readonly value: Uint8Array;
}

function packedIn(status: Uint8Array): Packed[] {
  return messages(fieldsOf(status), 3).map((any) => ({
    type: text(any, 1).split("/").at(-1) ?? "",
    value: bytes(any, 2),
  }));
}

/** Return the first of a type that can be read. */
function first<T>(
  packed: readonly Packed[],
  type: string,
  read: (value: Uint8Array) => T | undefined,
): T | undefined {
  return packed
    .filter((each) => each.type === type)
    .map((each) => readable(read, each.value))
    .find((each) => each !== undefined);
}

function ownErrorInfo(value: Uint8Array): Info | undefined {
  const info = fieldsOf(value);
  if (text(info, 2) !== DOMAIN) return undefined;
  // A map is, on the wire, a repeated message of keys and values.
  const entries = messages(info, 3).map((entry) => [text(entry, 1), text(entry, 2)]);
  return { reason: text(info, 1), metadata: Object.fromEntries(entries) as Info["metadata"] };
}

function violations(value: Uint8Array): FieldViolation[] {
  return messages(fieldsOf(value), 1).map((violation) => ({
    field: text(violation, 1),
    description: text(violation, 2),
  }));
}

function retryDelay(value: Uint8Array): number | undefined {
  const delay = messages(fieldsOf(value), 1)[0];
  if (delay === undefined) return undefined;
  return Math.max(0, number(delay, 1) * 1000 + number(delay, 2) / 1e6);
}

// The wire.

function readable<T>(read: (value: Uint8Array) => T, value: Uint8Array): T | undefined {
  try {
    return read(value);
  } catch {
    return undefined; // malformed
  }
}

function fieldsOf(message: Uint8Array): Fields {
  const fields = new Map<number, (Uint8Array | number)[]>();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = readValue(reader, number, type);
    if (value !== undefined) fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

function readValue(reader: BinaryReader, number: number, type: WireType) {
  if (type === WireType.LengthDelimited) return reader.bytes();
  if (type === WireType.Varint) return Number(reader.int64());
  reader.skip(type, number);
  return undefined;
}

function bytes(fields: Fields, field: number): Uint8Array {
  const value = fields.get(field)?.at(-1);
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function text(fields: Fields, field: number): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes(fields, field));
}

function number(fields: Fields, field: number): number {
  const value = fields.get(field)?.at(-1);
  return typeof value === "number" ? value : 0;
}

function messages(fields: Fields, field: number): Fields[] {
  const values = fields.get(field) ?? [];
  return values.flatMap((value) => (value instanceof Uint8Array ? [fieldsOf(value)] : []));
}
