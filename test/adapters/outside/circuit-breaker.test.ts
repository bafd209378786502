// When calls are refused, and when somebody may try again.

import { describe, expect, it } from "vitest";
import { CircuitBreaker, type Permit } from "../../../src/adapters/outside/circuit-breaker.js";
import { StoppedClock } from "../../support/stopped-clock.js";

function setUp() {
  const clock = new StoppedClock();
  const changes: boolean[] = [];
  const breaker = new CircuitBreaker({
    clock,
    failures: 3,
    firstDelayMs: 1_000,
    maxDelayMs: 3_000,
    onChange: (open) => changes.push(open),
  });
  const admit = (): Permit => {
    const admission = breaker.admit();
    if (!admission.admitted) throw new Error(`refused for ${admission.retryAfterMs} ms`);
    return admission.permit;
  };
  const fail = (times: number) => {
    for (let n = 0; n < times; n += 1) admit().failed();
  };
  return { clock, breaker, admit, fail, changes };
}

describe("CircuitBreaker", () => {
  it("opens after so many failures in a row, and says when to come back", () => {
    const { breaker, fail, changes } = setUp();
    fail(2);
    expect(breaker.refusing).toBe(false);
    fail(1);
    expect(breaker.refusing).toBe(true);
    expect(breaker.admit()).toEqual({ admitted: false, retryAfterMs: 1_000 });
    expect(changes).toEqual([true]);
  });

  it("forgets failures at a success", () => {
    const { breaker, admit, fail } = setUp();
    fail(2);
    admit().succeeded();
    fail(2);
    expect(breaker.refusing).toBe(false);
  });

  it("lets one probe through after the delay, and closes when it succeeds", () => {
    const { clock, breaker, admit, fail, changes } = setUp();
    fail(3);
    clock.advance(1_000);
    expect(breaker.refusing).toBe(false);
    const probe = admit();
    expect(breaker.admit().admitted).toBe(false);
    probe.succeeded();
    expect(breaker.admit().admitted).toBe(true);
    expect(changes).toEqual([true, false]);
  });

  it("waits twice as long after each probe that fails, up to a limit", () => {
    const { clock, breaker, admit, fail, changes } = setUp();
    fail(3);
    for (const delayMs of [1_000, 2_000, 3_000, 3_000]) {
      expect(breaker.admit()).toEqual({ admitted: false, retryAfterMs: delayMs });
      clock.advance(delayMs);
      admit().failed();
    }
    expect(changes).toEqual([true]);
  });

  it("lets another probe follow at once one that told nothing", () => {
    const { clock, admit, fail } = setUp();
    fail(3);
    clock.advance(1_000);
    admit().abandoned();
    admit().succeeded();
  });

  it("heeds no late failure of a call from before it opened", () => {
    const { clock, breaker, admit, fail } = setUp();
    const late = admit();
    fail(3);
    clock.advance(1_000);
    const probe = admit();
    late.failed();
    probe.succeeded();
    expect(breaker.refusing).toBe(false);
  });
});
