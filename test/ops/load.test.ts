// How busy the event loop is.

import { expect, test } from "vitest";
import { startLoadSampler } from "../../src/ops/load.js";
import { StoppedClock } from "../support/stopped-clock.js";

function useSampler() {
  const clock = new StoppedClock();
  const times = { idle: 0, active: 0 };
  const sampler = startLoadSampler(clock, () => ({ ...times }));
  const pass = (busy: number, samples: number) => {
    for (let i = 0; i < samples; i++) {
      times.active += busy * 250;
      times.idle += (1 - busy) * 250;
      clock.advance(250);
    }
  };
  return { clock, sampler, pass };
}

test("the load rises to a busy loop's share of time and falls again, smoothly", () => {
  const { sampler, pass } = useSampler();
  expect(sampler.load()).toBe(0);
  pass(0.8, 1);
  expect(sampler.load()).toBeGreaterThan(0.4);
  expect(sampler.load()).toBeLessThan(0.8);
  pass(0.8, 20);
  expect(sampler.load()).toBeCloseTo(0.8, 3);
  pass(0, 20);
  expect(sampler.load()).toBeCloseTo(0, 3);
});

test("stopping ends the timer", () => {
  const { clock, sampler, pass } = useSampler();
  pass(1, 3);
  sampler.stop();
  expect(clock.pending).toBe(0);
});
