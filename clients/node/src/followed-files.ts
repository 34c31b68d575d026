/** Files that somebody else renews while we run: certificates, keys, tokens. */

import { closeSync, openSync, readSync, statSync } from "node:fs";

/** In bytes. A longer file is not what it was taken for. */
export const LONGEST_FILE = 1024 * 1024;

/** How often files are read in a row that change while they are read. */
const ATTEMPTS = 3;

export interface FollowedFilesParts<Content> {
  readonly files: readonly string[];
  /** Throws for what it does not understand, without showing it. */
  readonly read: () => Content;
  /** Hears what is wrong, once. */
  readonly warn: (message: string) => void;
  /** @internal For tests. In milliseconds. */
  readonly now?: () => number;
}

/** How often, in milliseconds, files are looked at while somebody asks. */
const INTERVAL_MS = 1000;

interface Seen<Content> {
  readonly stamp: string;
  readonly content: Content;
}

/**
 * What some files hold together, read anew when one of them has changed.
 *
 * Whoever renews them may be caught in the middle: then what was read before is kept.
 */
export class FollowedFiles<Content> {
  readonly #parts: FollowedFilesParts<Content>;
  readonly #now: () => number;
  #seen: Seen<Content>;
  #nextLook: number;
  #complaint = "";

  /** Read them; throw where that cannot be. */
  constructor(parts: FollowedFilesParts<Content>) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
    this.#seen = this.#readWhole();
    this.#nextLook = this.#now() + INTERVAL_MS;
  }

  /** Return what they hold; the same object until they change. */
  current(): Content {
    if (this.#now() >= this.#nextLook) {
      this.#nextLook = this.#now() + INTERVAL_MS;
      this.#look();
    }
    return this.#seen.content;
  }

  #look(): void {
    try {
      if (this.#stamp() === this.#seen.stamp) return;
      this.#seen = this.#readWhole();
      this.#complaint = "";
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Read until nothing changed meanwhile, so that what was read belongs together. */
  #readWhole(): Seen<Content> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const stamp = this.#stamp();
      const content = this.#parts.read();
      if (this.#stamp() === stamp) return { stamp, content };
    }
    throw new TypeError(`${this.#parts.files.join(", ")}: It changes while it is read.`);
  }

  /** Another file, or another state of the same: device, inode, size, times. */
  #stamp(): string {
    const found = this.#parts.files.map((file) => statSync(file, { bigint: true }));
    return found
      .map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join())
      .join(";");
  }

  #complain(error: unknown): void {
    const complaint = error instanceof Error ? error.message : "not readable";
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#parts.warn(`What was read before is kept: ${complaint}`);
  }
}

/** Return what a file holds; throw where it is too long. */
export function readBounded(file: string): Buffer {
  const opened = openSync(file, "r");
  try {
    const content = Buffer.alloc(LONGEST_FILE + 1);
    let length = 0;
    for (;;) {
      const read = readSync(opened, content, length, content.length - length, null);
      length += read;
      if (read === 0) return content.subarray(0, length);
      if (length > LONGEST_FILE) throw new TypeError(`${file}: The file is too long.`);
    }
  } finally {
    closeSync(opened);
  }
}
