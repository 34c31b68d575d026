/** The cases that clients of every language pass. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";

import { EntitlementCache } from "../src/cache.js";
import type { CacheOptions } from "../src/cache-settings.js";
import type { Decision, Subject } from "../src/decision.js";
import { Failure, ScriptedService, type Stream } from "./scripted-service.js";
import { Clocks, HASTE, Recorder, entitlement, type RightGiven } from "./scripted-time.js";
import { eventually } from "./waiting.js";

interface Expected extends RightGiven {
  readonly account: string;
  readonly entitled: boolean;
  readonly source: string;
  readonly at_least?: string;
}

interface Sent {
  readonly revision: string;
  readonly account?: string;
  readonly entitlements?: RightGiven[];
  readonly reset?: boolean;
  readonly goodbye?: number;
  readonly sent_ago?: number;
}

interface Steps {
  stream: { account_ids: string[]; resume_revision: string };
  send: Sent;
  end: keyof typeof status;
  advance: number;
  jump: number;
  service: Record<string, RightGiven[] | keyof typeof status>;
  state: string;
  peek: Expected;
  check: Expected;
  eventually: Expected;
}

interface Case {
  readonly name: string;
  readonly settings: {
    accounts?: string[];
    last_known_good_max_age?: number;
    fail_open?: boolean;
  };
  readonly steps: Partial<Steps>[];
}

const FILE = new URL("../../../behaviour/entitlement_cache.json", import.meta.url);
const CASES = JSON.parse(readFileSync(FILE, "utf8")) as Case[];

/** Plays a case's steps. */
class Player {
  #stream: Stream | undefined;

  constructor(
    private readonly service: ScriptedService,
    private readonly cache: EntitlementCache,
    private readonly clocks: Clocks,
    private readonly heard: Recorder,
  ) {}

  readonly steps: { [Name in keyof Steps]: (argument: Steps[Name]) => Promise<void> | void } = {
    stream: async (expected) => {
      this.#stream = await this.service.nextStream();
      assert.deepEqual(this.#stream.request.accountIds, expected.account_ids);
      assert.equal(this.#stream.request.resumeRevision, expected.resume_revision);
    },
    send: async (what) => {
      const received = this.heard.messages.length;
      const sendTime = new Date(this.clocks.server() - (what.sent_ago ?? 0) * 1000);
      this.#stream?.send({ ...kindOf(what), revision: what.revision, sendTime });
      await eventually(() => this.heard.messages.length === received + 1);
    },
    end: async (code) => {
      const ended = this.heard.errors.length;
      this.#stream?.end(status[code]);
      await eventually(() => this.heard.errors.length > ended);
    },
    advance: (seconds) => {
      this.clocks.passed += seconds * 1000;
    },
    jump: (seconds) => {
      this.clocks.jumped += seconds * 1000;
    },
    service: (answers) => {
      for (const [account, answer] of Object.entries(answers)) {
        const listed =
          typeof answer === "string"
            ? new Failure(status[answer])
            : answer.map((right) => entitlement(right, account));
        this.service.lists.set(account, listed);
      }
    },
    state: (expected) => {
      assert.equal(this.cache.state, expected);
    },
    peek: (expected) => {
      const subject = subjectOf(expected);
      assert.deepEqual(seen(this.cache.peek(expected.account, subject)), wanted(expected));
      assert.equal(this.cache.entitled(expected.account, subject), expected.entitled);
    },
    check: async (expected) => {
      const listed = this.service.listed.length;
      const decision = await this.cache.decide(expected.account, subjectOf(expected));
      assert.deepEqual(seen(decision), wanted(expected));
      if (expected.source !== "rpc") return;
      const asked = this.service.listed.slice(listed);
      const revisions = asked.map(({ consistency }) => consistency?.atLeastRevision ?? "");
      assert.deepEqual(revisions, [expected.at_least]);
    },
    eventually: async (expected) => {
      const subject = subjectOf(expected);
      const expectedly = JSON.stringify(wanted(expected));
      await eventually(
        () => JSON.stringify(seen(this.cache.peek(expected.account, subject))) === expectedly,
      );
    },
  };

  async play(step: Partial<Steps>): Promise<void> {
    const [[name, argument] = []] = Object.entries(step);
    const act = this.steps[name as keyof Steps] as (argument: unknown) => Promise<void> | void;
    await act(argument);
  }
}

function kindOf({ account, entitlements = [], reset, goodbye }: Sent) {
  if (account !== undefined) {
    const rights = entitlements.map((right) => entitlement(right, account));
    return { account: { accountId: account, entitlements: rights } };
  }
  if (reset === true) return { reset: {} };
  return goodbye === undefined ? {} : { goodbye: { retryDelayMillis: goodbye } };
}

function subjectOf({ feature, product_id: productId }: Expected): Subject {
  return { feature, productId } as Subject;
}

function seen({ entitled, source }: Decision) {
  return { entitled, source };
}

function wanted({ entitled, source }: Expected) {
  return { entitled, source };
}

function optionsOf({ settings }: Case): CacheOptions {
  const age = settings.last_known_good_max_age;
  return {
    ...(settings.accounts && { accounts: settings.accounts }),
    ...(age !== undefined && { lastKnownGoodMaxAgeMs: age * 1000 }),
    ...(settings.fail_open !== undefined && { failOpen: settings.fail_open }),
  };
}

for (const each of CASES) {
  test(`the cache behaves: ${each.name}`, async () => {
    const [clock, observer] = [new Clocks(), new Recorder()];
    const service = await ScriptedService.start();
    const options = { ...optionsOf(each), clock, observer, pace: HASTE };
    const cache = await EntitlementCache.open(service.address, options);
    try {
      const player = new Player(service, cache, clock, observer);
      for (const step of each.steps) await player.play(step);
    } finally {
      await cache.close();
      service.stop();
    }
  });
}

test("every case is played, and none has a setting or step that is not known here", () => {
  const known = ["accounts", "last_known_good_max_age", "fail_open"];
  const settings = CASES.flatMap(({ settings }) => Object.keys(settings));

  assert.deepEqual(new Set(settings), new Set(known));
  assert.ok(CASES.length >= 25);
});
