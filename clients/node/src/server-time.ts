/**
 * The service's clock, as far as a caller can know it.
 *
 * Ends such as a trial's are moments of the service's clock. The caller's own may be
 * wrong, and may jump; what never jumps back is its monotonic clock. So every message's
 * `sendTime` is compared with that.
 */

import { uptime } from "node:os";

/** Two clocks, in milliseconds. Tests bring their own. */
export interface Clock {
  /** Never jumps back. Decides how old memory is, and with `sendTime` what has ended. */
  readonly monotonic: () => number;
  /** The time of day. Stands in for the service's until a stream has told that. */
  readonly wall: () => number;
}

/** Where a clock that counts suspensions gets its times from. */
export interface Instruments {
  readonly running: () => number;
  readonly wall: () => number;
  readonly uptime: () => number;
}

/** A suspension that is shorter goes unnoticed, so memory may seem so much younger. */
const NOTICED = 1000;

const MACHINE: Instruments = {
  running: () => performance.now(),
  wall: () => Date.now(),
  uptime: () => uptime() * 1000,
};

/**
 * Make a monotonic clock that goes on while the machine is suspended.
 *
 * Node's own stands still then, and the machine's uptime is slow to ask for. So it is
 * asked for only when the time of day has moved apart from Node's clock, which it
 * does when the machine was suspended, or the time was set.
 */
export function monotonicClock(instruments: Instruments = MACHINE): () => number {
  const { running, wall } = instruments;
  const start = running();
  let apart = wall() - start;
  let ahead = instruments.uptime() - start;
  return () => {
    const now = running();
    const seen = wall() - now;
    if (Math.abs(seen - apart) > NOTICED) {
      apart = seen;
      ahead = Math.max(ahead, instruments.uptime() - now);
    }
    return now + ahead;
  };
}

export function machineClock(): Clock {
  return { monotonic: monotonicClock(), wall: MACHINE.wall };
}

/**
 * Tells how late it is at the service, never too early.
 *
 * A stream's first message was sent after the stream was asked for. That bounds how
 * far the service's clock is ahead of ours, however long the message was on its way:
 * it may be a little later there than the truth, so ends come early by as much as
 * that first message took, and never late.
 */
export class ServerTime {
  /** Add it to the monotonic clock for the service's time of day. */
  ahead: number;
  readonly #clock: Clock;
  #begun: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.ahead = clock.wall() - clock.monotonic();
  }

  /** Note that a stream is being asked for now, perhaps of another replica. */
  begin(): void {
    this.#begun = this.#clock.monotonic();
  }

  /** Go by the time of day, which may jump: back, it is not followed. */
  askWallClock(): void {
    this.ahead = Math.max(this.ahead, this.#clock.wall() - this.#clock.monotonic());
  }

  /** Return the monotonic time before which a message was certainly not sent. */
  sent(sendTime: number, received: number): number {
    if (this.#begun !== undefined) {
      this.ahead = sendTime - this.#begun;
      this.#begun = undefined;
    }
    // Nothing is received before it is sent: the service's clock was put forward.
    this.ahead = Math.max(this.ahead, sendTime - received);
    return sendTime - this.ahead;
  }
}
