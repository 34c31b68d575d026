/** Files that are renewed, as platforms do it, and by those who do it badly. */

import assert from "node:assert/strict";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { FollowedFiles, LONGEST_FILE, readBounded } from "../src/followed-files.js";

let folder: string;
let file: string;
let now: number;
let reads: number;
let meanwhile: () => void;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "paidup-"));
  file = join(folder, "file");
  writeFileSync(file, "1");
  [now, reads, warnings] = [0, 0, []];
  meanwhile = () => undefined;
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(): number {
  reads += 1;
  const text = readBounded(file).toString();
  meanwhile();
  if (!/^\d+$/.test(text)) throw new TypeError(`${file}: Not a number.`);
  return Number(text);
}

function follow(): FollowedFiles<number> {
  return new FollowedFiles({
    files: [file],
    read,
    warn: (message) => warnings.push(message),
    now: () => now,
  });
}

function byRenaming(text: string): void {
  writeFileSync(`${file}-other`, text);
  renameSync(`${file}-other`, file);
}

/** As the kubelet does: the file is a link by way of another, and only that one is swapped. */
function byALink(text: string): void {
  mkdirSync(join(folder, `..${text}`));
  writeFileSync(join(folder, `..${text}`, "file"), text);
  symlinkSync(`..${text}`, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  if (lstatSync(file).isSymbolicLink()) return;
  unlinkSync(file);
  symlinkSync("..data/file", file);
}

const inPlace = (text: string) => writeFileSync(file, text);

for (const renew of [inPlace, byRenaming, byALink]) {
  test(`a file that is renewed ${renew.name} is read anew`, () => {
    const followed = follow();
    assert.equal(followed.current(), 1);
    for (const number of [2, 3]) {
      renew(String(number));
      now += 1000;
      assert.equal(followed.current(), number);
    }
  });
}

test("it is looked at once a second, and read only if it changed", () => {
  const followed = follow();
  byRenaming("2");
  now += 900;
  assert.equal(followed.current(), 1);
  now += 100;
  assert.deepEqual([followed.current(), followed.current()], [2, 2]);
  now += 60_000;
  assert.equal(followed.current(), 2);
  assert.equal(reads, 2);

  byRenaming("3");
  assert.equal(followed.current(), 2);
  now += 1000;
  assert.equal(followed.current(), 3);
});

const SPOILT: [string, () => void][] = [
  ["gone", () => unlinkSync(file)],
  ["emptied", () => truncateSync(file)],
  ["half-written", () => writeFileSync(file, "s3cret")],
  [
    "without an end",
    () => {
      unlinkSync(file);
      symlinkSync("/dev/zero", file);
    },
  ],
];

for (const [how, spoil] of SPOILT) {
  test(`a file that is ${how} is told once, and what was read before is kept`, () => {
    const followed = follow();
    spoil();
    for (let look = 0; look < 3; look++) {
      now += 1000;
      assert.equal(followed.current(), 1);
    }
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]?.includes(file));
    assert.ok(!warnings[0]?.includes("s3cret"));
    byRenaming("2");
    now += 1000;
    assert.equal(followed.current(), 2);
  });

  test(`a file that is ${how} at the start is refused`, () => {
    spoil();
    assert.throws(follow, (error: Error) => error.message.includes(file));
  });
}

test("what changes while it is read is read again, until it stops", () => {
  const followed = follow();
  meanwhile = () => (reads === 2 ? byRenaming("3") : undefined);
  byRenaming("2");
  now += 1000;
  assert.equal(followed.current(), 3);

  meanwhile = () => byRenaming(String(reads + 10));
  byRenaming("4");
  now += 1000;
  assert.equal(followed.current(), 3);
  assert.match(warnings[0] ?? "", /changes while it is read/);
});

test("a file has an end", () => {
  writeFileSync(file, Buffer.alloc(LONGEST_FILE));
  assert.equal(readBounded(file).length, LONGEST_FILE);
  writeFileSync(file, Buffer.alloc(LONGEST_FILE + 1));
  assert.throws(() => readBounded(file), /too long/);
});
