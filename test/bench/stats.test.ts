// The statistics that the benchmarks' figures go through.

import { describe, expect, it } from "vitest";
import { LatencyHistogram, median, quantile } from "../../bench/stats.js";

describe("median", () => {
  it("is the middle of an odd number of values, whatever their order", () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it("is the mean of the two middle ones of an even number", () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  it("leaves out runs without a figure", () => {
    expect(median([Number.NaN, 2, Number.NaN])).toBe(2);
    expect(median([Number.NaN])).toBeNaN();
  });
});

describe("quantile", () => {
  it("is a value that was measured", () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    expect(quantile(values, 0.5)).toBe(50);
    expect(quantile(values, 0.95)).toBe(95);
    expect(quantile(values, 1)).toBe(100);
  });

  it("has no value of nothing", () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe("LatencyHistogram", () => {
  it("gives quantiles to 10 µs", () => {
    const histogram = new LatencyHistogram();
    for (let sample = 1; sample <= 1_000; sample++) histogram.record(sample / 10);
    expect(histogram.quantile(0.5)).toBeCloseTo(50, 1);
    expect(histogram.quantile(0.99)).toBeCloseTo(99, 1);
  });

  it("keeps samples beyond its range as the longest it knows", () => {
    const histogram = new LatencyHistogram();
    histogram.record(1e9);
    expect(histogram.quantile(0.5)).toBe(30_000);
  });

  it("adds what others have counted", () => {
    const [one, other] = [new LatencyHistogram(), new LatencyHistogram()];
    for (const ms of [1, 2, 2]) one.record(ms);
    for (const ms of [2, 9]) other.record(ms);
    one.add(other.counted());
    expect(one.total).toBe(5);
    expect(one.quantile(0.8)).toBeCloseTo(2, 1);
    expect(one.quantile(1)).toBeCloseTo(9, 1);
  });

  it("is empty again after clear", () => {
    const histogram = new LatencyHistogram();
    histogram.record(5);
    histogram.clear();
    expect(histogram.total).toBe(0);
    expect(histogram.quantile(0.5)).toBeNaN();
  });
});
