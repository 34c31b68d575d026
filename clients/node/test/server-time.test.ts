/** Clocks of a machine that is suspended, or set. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { monotonicClock } from "../src/server-time.js";

class Machine {
  ran = 100;
  set = 0;
  slept = 0;
  asked = 0;
  readonly running = () => this.ran;
  readonly wall = () => 1_700_000_000_000 + this.ran + this.slept + this.set;
  readonly uptime = () => {
    this.asked += 1;
    return 9_000 + this.ran + this.slept;
  };
}

test("the clock goes on while the machine is suspended", () => {
  const machine = new Machine();
  const now = monotonicClock(machine);
  const before = now();
  machine.ran += 10;
  machine.slept += 60_000;

  assert.equal(now() - before, 60_010);
});

test("a time of day that is set, forwards or back, changes nothing", () => {
  const machine = new Machine();
  const now = monotonicClock(machine);
  const before = now();
  machine.set = 86_400_000;
  assert.equal(now() - before, 0);
  machine.set = -86_400_000;
  machine.ran += 5;
  assert.equal(now() - before, 5);
});

test("it never jumps back, even where the uptime does, and asks for it only when it must", () => {
  const machine = new Machine();
  const now = monotonicClock(machine);
  machine.slept = 10_000;
  const before = now();
  for (let i = 0; i < 100; i++) now();
  assert.equal(machine.asked, 2);
  machine.slept = 0;

  assert.equal(now(), before);
});
