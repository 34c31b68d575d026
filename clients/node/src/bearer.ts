/** The token that says who calls. */

import type { Endpoint } from "./endpoint.js";
import { FollowedFiles, readBounded } from "./followed-files.js";

/** What a header can carry: ASCII without control characters. */
const SENDABLE = /^[\x20-\x7e]+$/;

/** What goes with each call as `authorization: Bearer …`; perhaps nothing. */
export class Bearer {
  readonly #token: (() => string | Promise<string>) | undefined;

  /** Read the token's file, if it is in one; throw where that cannot be. */
  constructor({ token, tokenFile, warn }: Endpoint) {
    this.#token = typeof token === "string" ? () => token : token;
    if (tokenFile !== undefined) this.#token = tokenIn(tokenFile, warn);
  }

  /** Return the header that says who calls now; undefined where nobody needs to know. */
  async authorization(): Promise<string | undefined> {
    if (this.#token === undefined) return undefined;
    return `Bearer ${sendable(await this.#token())}`;
  }
}

function tokenIn(file: string, warn: (message: string) => void): () => string {
  const read = () => {
    try {
      return sendable(readBounded(file).toString("utf8"));
    } catch (error) {
      if (error instanceof TypeError) throw new TypeError(`${file}: ${error.message}`);
      throw error;
    }
  };
  const followed = new FollowedFiles({ files: [file], read, warn });
  return () => followed.current();
}

function sendable(given: string): string {
  // Files end in a newline, which a header may not hold.
  const token = given.trim();
  if (!SENDABLE.test(token)) {
    // gRPC would refuse it too, but quote it.
    throw new TypeError("The token is empty or holds what a header cannot carry.");
  }
  return token;
}
