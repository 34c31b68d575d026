/**
 * A file of what was known, for a start while the service is away.
 *
 * It holds account ids, features, product ids and the moments at which rights end:
 * neither secrets nor anything about people, unless the caller's account ids are that.
 * Whoever can write it can entitle, so it is the owner's alone, and one that others can
 * write is not read. Times are in seconds; the Python client's file is the same.
 */

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { EntitlementReason } from "./generated/paidup/v1/entitlement.js";
import { Held, type Right } from "./held.js";

const VERSION = 1;

/** More is not read. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The file cannot be trusted or understood; its message says why. */
export class UnusableFile extends Error {
  override readonly name = "UnusableFile";
}

/** An account and its age in milliseconds. */
export type Known = readonly [held: Held, ageMs: number];

/** Replace the file by these accounts. */
export async function save(
  path: string,
  known: ReadonlyMap<string, Known>,
  wall: number,
): Promise<void> {
  const accounts = Object.fromEntries([...known].map(([id, each]) => [id, toJson(...each)]));
  const content = JSON.stringify({ version: VERSION, saved: wall / 1000, accounts });
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    await write(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function write(path: string, content: string): Promise<void> {
  // Readable by the owner alone, from the first byte.
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Return the accounts that are not too old; none without a file. Rejects with UnusableFile. */
export async function load(
  path: string,
  wall: number,
  maxAgeMs: number,
): Promise<Map<string, Known>> {
  const name = basename(path);
  const text = await read(path, name);
  try {
    return text === undefined ? new Map() : accountsOf(JSON.parse(text), wall, maxAgeMs);
  } catch (error) {
    if (error instanceof UnusableFile) throw error;
    throw new UnusableFile(`${name} is not what this version writes.`, { cause: error });
  }
}

async function read(path: string, name: string): Promise<string | undefined> {
  try {
    return await readOwn(path, name);
  } catch (error) {
    if (error instanceof UnusableFile) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UnusableFile(`${name} cannot be read.`, { cause: error });
  }
}

async function readOwn(path: string, name: string): Promise<string> {
  // Links are not followed; a pipe that nobody writes into must not hold us up.
  const { O_RDONLY } = constants;
  // Absent on Windows, whatever their types say.
  const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = await file.stat();
    const othersWrite = (found.mode & (constants.S_IWGRP | constants.S_IWOTH)) !== 0;
    if (!found.isFile() || (othersWrite && process.platform !== "win32")) {
      throw new UnusableFile(`Others than its owner can write ${name}.`);
    }
    if (process.geteuid !== undefined && found.uid !== process.geteuid()) {
      throw new UnusableFile(`${name} is somebody else's.`);
    }
    if (found.size > MOST_BYTES) throw new UnusableFile(`${name} is too large.`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function accountsOf(content: unknown, wall: number, maxAgeMs: number): Map<string, Known> {
  const { version, saved, accounts } = record(content);
  if (version !== VERSION) throw new UnusableFile(`It is of another version than ${VERSION}.`);
  // A file of the future was written under another clock; nothing is known of its age.
  const savedAgo = wall - finite(saved) * 1000;
  if (savedAgo < 0) throw new UnusableFile("It was saved in the future.");
  const read = Object.entries(record(accounts)).map(
    ([id, each]) => [id, fromJson(each, savedAgo)] as const,
  );
  return new Map(read.filter(([, [, age]]) => age >= 0 && age <= maxAgeMs));
}

function toJson(held: Held, ageMs: number) {
  return { age: ageMs / 1000, features: rights(held.features), products: rights(held.products) };
}

function rights(held: ReadonlyMap<string, Right>) {
  const listed = [...held].map(([key, { until, reason, quantity }]) => {
    // What JSON has no number for: no end at all, and an end that is no moment, which has passed.
    const end = until === Infinity ? null : Math.max(until / 1000, -Number.MAX_VALUE);
    return [key, [end, reason, quantity]];
  });
  return Object.fromEntries(listed) as Record<string, unknown>;
}

function fromJson(account: unknown, savedAgo: number): Known {
  const { age, features, products } = record(account);
  const held = new Held();
  for (const [key, each] of Object.entries(record(features))) held.features.set(key, right(each));
  for (const [key, each] of Object.entries(record(products))) held.products.set(key, right(each));
  return [held, finite(age) * 1000 + savedAgo];
}

function right(listed: unknown): Right {
  if (!Array.isArray(listed) || listed.length !== 3)
    throw new TypeError("A right is three values.");
  const [until, reason, quantity] = listed as unknown[];
  return {
    until: until === null ? Infinity : finite(until) * 1000,
    reason: reasonOf(reason),
    quantity: finite(quantity),
  };
}

/** A newer version's is unspecified. */
function reasonOf(value: unknown): EntitlementReason {
  const known = Object.values(EntitlementReason).find((reason) => reason === value);
  return typeof known === "number" ? known : EntitlementReason.UNSPECIFIED;
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("An object is missing.");
  }
  return value as Record<string, unknown>;
}

function finite(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError("It is no number.");
  return value;
}
