// Rates by scope, and sessions by kind of device, as people write them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_RATES, NO_LIMIT, OPERATION_CLASSES } from "../../../src/core/limit/rates.js";
import { OPTION_KEYS, OPTIONS } from "../../../src/ops/config/options.js";
import { ConfigError } from "../../../src/ops/config/sources.js";
import { resolve } from "./config-input.js";

describe("rates of a class", () => {
  test.each([
    ["user=5/9", { user: { perSecond: 5, burst: 9 } }],
    [" user = 5 , tenant=7/8 ", { user: { perSecond: 5, burst: 10 }, tenant: { perSecond: 7, burst: 8 } }],
    ["room=0", { room: NO_LIMIT }],
    ["0", { session: NO_LIMIT, user: NO_LIMIT, room: NO_LIMIT, tenant: NO_LIMIT }],
  ])("written as %s differ in that from the defaults", (written, differing) => {
    const { config } = resolve({ flags: { publishRate: written } });
    expect(config.publishRate).toEqual({ ...DEFAULT_RATES.publish, ...differing });
  });

  test("are an object in a file, of texts, numbers or objects", () => {
    const { config } = resolve({ file: { editRate: { session: "3/4", user: 5, tenant: { perSecond: 1, burst: 2 } } } });
    expect(config.editRate).toEqual({
      ...DEFAULT_RATES.edit,
      session: { perSecond: 3, burst: 4 },
      user: { perSecond: 5, burst: 10 },
      tenant: { perSecond: 1, burst: 2 },
    });
  });

  test.each([
    [
      "a scope that the class has not",
      { markRate: "room=5" },
      "--mark-rate: must be 0 (no limit) or rates by scope, of session, user, tenant",
    ],
    ["no scope at all", { markRate: "5/10" }, "--mark-rate: must be 0"],
    [
      "a burst of nothing",
      { serviceRate: "user=5/0" },
      "--service-rate: must be 0 (no limit) or rates by scope, of user, tenant",
    ],
  ])("with %s are refused, and it is said how to write them", (_, flags, problem) => {
    expect(() => resolve({ flags })).toThrow(problem);
  });

  test("with a bucket that never holds a token are refused in a file too", () => {
    expect(() => resolve({ file: { frameRate: { perSecond: 5, burst: 0 } } })).toThrow("frameRate: must be a rate");
    expect(() => resolve({ file: { readRate: { user: { perSecond: 5, burst: 0 } } } })).toThrow("readRate: must be");
  });

  test("are options of each class there is", () => {
    expect(OPTION_KEYS.filter((key) => OPERATION_CLASSES.some((of) => key === `${of}Rate`))).toHaveLength(
      OPERATION_CLASSES.length,
    );
  });
});

describe("limits by kind of device", () => {
  const both = { web: { max: 5, policy: "close-oldest" }, mobile: { max: 2, policy: "refuse-new" } };

  test("name a policy where it is another than closing the oldest", () => {
    expect(resolve({ flags: { deviceLimits: "web=5, mobile=2:refuse-new" } }).config.deviceLimits).toEqual(both);
    expect(resolve({ file: { deviceLimits: { web: 5, mobile: "2:refuse-new" } } }).config.deviceLimits).toEqual(both);
    expect(resolve({ file: { deviceLimits: both } }).config.deviceLimits).toEqual(both);
    expect(OPTIONS.deviceLimits.format({})).toBe("");
  });

  test.each(["tv=5", "web", "web=0", "web=2:forget", "web=x"])("are refused as %s", (written) => {
    expect(() => resolve({ flags: { deviceLimits: written } })).toThrow("--device-limits: must be limits by kind");
  });
});

describe("any option", () => {
  test.each(OPTION_KEYS)("%s takes whatever is written, or says what is wrong with it", (key) => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything({ withNullPrototype: false })), (value) => {
        const read = OPTIONS[key].schema.safeParse(value);
        if (!read.success) expect(read.error.issues[0]?.message ?? "").not.toBe("");
      }),
    );
  });

  test.each(OPTION_KEYS.filter((key) => key !== "config"))(
    "%s in a file: a value, or an error that names it",
    (key) => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          try {
            resolve({ file: { [key]: value } });
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError);
            expect(String(error)).toContain(key);
          }
        }),
        { numRuns: 30 },
      );
    },
  );
});
