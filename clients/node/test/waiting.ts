/** Waiting for what others bring about: for a condition, never for luck. */

import { setTimeout as pause } from "node:timers/promises";

export async function eventually(
  condition: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(`Not within ${withinMs} ms: ${condition.toString()}`);
    await pause(2);
  }
}

/** Something that is waited for until a test lets it go on. */
export class Gate {
  open!: () => void;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}
