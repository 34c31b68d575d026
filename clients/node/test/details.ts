/** Details of errors as services pack them, written to the wire by hand. */

import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** A message: its fields by number, each a text, a whole number, or bytes of another message. */
export function message(...fields: [number, string | number | Uint8Array][]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.uint32(number << 3).int64(value);
    else if (typeof value === "string") writer.uint32((number << 3) | 2).string(value);
    else writer.uint32((number << 3) | 2).bytes(value);
  }
  return writer.finish();
}

function packed(type: string, value: Uint8Array): [number, Uint8Array] {
  return [3, message([1, `type.googleapis.com/google.rpc.${type}`], [2, value])];
}

export function errorInfo(
  reason: string,
  metadata: Record<string, string> = {},
  domain = "paidup.dev",
) {
  const entries = Object.entries(metadata).map(([key, value]): [number, Uint8Array] => [
    3,
    message([1, key], [2, value]),
  ]);
  return packed("ErrorInfo", message([1, reason], [2, domain], ...entries));
}

export function badRequest(violations: Record<string, string>) {
  const listed = Object.entries(violations).map(([field, description]): [number, Uint8Array] => [
    1,
    message([1, field], [2, description]),
  ]);
  return packed("BadRequest", message(...listed));
}

export function retryInfo(seconds: number, nanos: number) {
  return packed("RetryInfo", message([1, message([1, seconds], [2, nanos])]));
}

/** A `google.rpc.Status`, as it is sent. */
export function details(...each: [number, Uint8Array][]): Buffer {
  return Buffer.from(message([1, 3], [2, "no"], ...each));
}
