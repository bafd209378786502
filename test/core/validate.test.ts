// What a field may hold.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/core/limit/limits.js";
import * as validate from "../../src/core/validate.js";
import {
  BodySchema,
  MentionSchema,
  Role,
  RoomKind,
  RoomSettingsSchema,
} from "../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../src/ports/error.js";
import { identity } from "./use-core.js";

/** What a check says: nothing, or the refusal's code and field. */
function verdict(check: () => void): string {
  try {
    check();
    return "";
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || !("field" in error)) throw error;
    return `${ErrorCode[Number(error.code)]} ${error.field}`;
  }
}

describe("utf8Length", () => {
  it("is what encoding the string gives, lone surrogates included", () => {
    const unit = fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0xd800, max: 0xdfff }),
      fc.constantFrom(0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xffff),
    );
    const anyString = fc.array(unit, { maxLength: 50 }).map((units) => String.fromCharCode(...units));
    fc.assert(
      fc.property(anyString, (text) => {
        expect(validate.utf8Length(text)).toBe(Buffer.byteLength(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it("counts a pair as four bytes and what follows it by itself", () => {
    expect(validate.utf8Length("a😀é漢")).toBe(1 + 4 + 2 + 3);
  });
});

describe("ids", () => {
  const id = (value: string) => verdict(() => validate.validateId("room_id", value));

  it("are 1 to 128 of A-Z a-z 0-9 . _ : ~ -", () => {
    const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:~-";
    expect(id(allowed)).toBe("");
    expect(id("x".repeat(128))).toBe("");
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), (value) => {
        const fits = [...value].every((character) => allowed.includes(character));
        expect(id(value)).toBe(fits ? "" : "INVALID_ARGUMENT room_id");
      }),
    );
  });

  it.each([
    ["empty", ""],
    ["too long", "x".repeat(129)],
    ["of a slash", "a/b"],
    ["of a space", "a b"],
    ["of a line break at its end", "a\n"],
    ["of a NUL", "a\u0000"],
    ["of another script", "général"],
  ])("are refused when %s", (_, value) => {
    expect(id(value)).toBe("INVALID_ARGUMENT room_id");
  });

  it("may be absent where they are optional, and are then checked all the same", () => {
    expect(verdict(() => validate.validateOptionalId("reply_to", ""))).toBe("");
    expect(verdict(() => validate.validateOptionalId("reply_to", "a b"))).toBe("INVALID_ARGUMENT reply_to");
  });
});

describe("bodies", () => {
  type Kind = MessageInitShape<typeof BodySchema>["kind"];
  const body = (kind: Kind, limits = DEFAULT_LIMITS) =>
    verdict(() => validate.validateBody("body", create(BodySchema, { kind }), identity("ada"), limits));
  const attachment = (differing: Extract<Kind, { case: "attachment" }>["value"]) =>
    body({ case: "attachment", value: { url: "https://files.example/1", ...differing } });

  it("are required and of one kind", () => {
    expect(verdict(() => validate.validateBody("publish.body", undefined, identity("ada"), DEFAULT_LIMITS))).toBe(
      "INVALID_ARGUMENT publish.body",
    );
    expect(body({ case: undefined })).toBe("INVALID_ARGUMENT body");
  });

  it("of text are 1 byte to 16 KiB of UTF-8", () => {
    expect(body({ case: "text", value: "" })).toBe("INVALID_ARGUMENT body.text");
    expect(body({ case: "text", value: "x" })).toBe("");
    expect(body({ case: "text", value: "é".repeat(8 * 1024) })).toBe("");
    expect(body({ case: "text", value: `${"é".repeat(8 * 1024)}x` })).toBe("TOO_LARGE body.text");
    expect(body({ case: "text", value: "12345" }, { ...DEFAULT_LIMITS, maxTextBytes: 4 })).toBe("TOO_LARGE body.text");
  });

  it("say the limit that a text is over", () => {
    const long = create(BodySchema, { kind: { case: "text", value: "x".repeat(20_000) } });
    expect(() => validate.validateBody("body", long, identity("ada"), DEFAULT_LIMITS)).toThrow(
      expect.objectContaining({ details: { limit: "16384" } }),
    );
  });

  it.each(["https://x.example/a", "HTTP://x", "app+v1.0-x:thing", "file:///x"])("may refer to %s", (url) => {
    expect(attachment({ url })).toBe("");
  });

  it.each([
    "",
    "//x.example/a",
    "/a",
    "a.png",
    "1x:y",
    " https://x",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
  ])("may not refer to %j", (url) => {
    expect(attachment({ url })).toBe("INVALID_ARGUMENT body.attachment.url");
  });

  it("bound each part of an attachment", () => {
    const name = "x".repeat(255);
    expect(attachment({ url: `https://${"x".repeat(2_040)}`, name, mimeType: name, caption: "x".repeat(16_384) })).toBe(
      "",
    );
    expect(attachment({ url: `https://${"x".repeat(2_041)}` })).toBe("TOO_LARGE body.attachment.url");
    expect(attachment({ name: `${name}x` })).toBe("TOO_LARGE body.attachment.name");
    expect(attachment({ mimeType: `${name}x` })).toBe("TOO_LARGE body.attachment.mime_type");
    expect(attachment({ caption: "x".repeat(16_385) })).toBe("TOO_LARGE body.attachment.caption");
  });

  it("of an application have a type that is an id", () => {
    expect(body({ case: "custom", value: { type: "poll.v1", data: Uint8Array.of(1) } })).toBe("");
    expect(body({ case: "custom", value: { type: "" } })).toBe("INVALID_ARGUMENT body.custom.type");
    expect(body({ case: "custom", value: { type: "a poll" } })).toBe("INVALID_ARGUMENT body.custom.type");
  });

  it("of the system are refused", () => {
    expect(body({ case: "system", value: { type: "notice" } })).toBe("PERMISSION_DENIED body.system");
  });
});

describe("mentions", () => {
  const mentions = (...userIds: readonly string[]) =>
    verdict(() =>
      validate.validateMentions(
        "mentions",
        userIds.map((userId) => create(MentionSchema, { userId })),
      ),
    );

  it("are at most 50 users", () => {
    const users = Array.from({ length: 51 }, (_, index) => `user-${index}`);
    expect(mentions(...users.slice(1))).toBe("");
    expect(mentions(...users)).toBe("TOO_LARGE mentions");
  });

  it("name the one that is no user id", () => {
    expect(mentions("ada", "b b")).toBe("INVALID_ARGUMENT mentions[1].user_id");
  });
});

describe("metadata", () => {
  const metadata = (value: Parameters<typeof validate.validateMetadata>[1]) =>
    verdict(() => validate.validateMetadata("metadata", value, DEFAULT_LIMITS));

  it("may be absent, and is 4 KiB of UTF-8 at most as JSON", () => {
    expect(metadata(undefined)).toBe("");
    expect(metadata({})).toBe("");
    const around = JSON.stringify({ a: "" }).length;
    expect(metadata({ a: "é".repeat((4_096 - around) / 2) })).toBe("");
    expect(metadata({ a: "x".repeat(4_096 - around + 1) })).toBe("TOO_LARGE metadata");
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "may not hold %d anywhere: protobuf can say it, JSON cannot, and the room would be unreadable in JSON",
    (number) => {
      expect(metadata({ a: number })).toBe("INVALID_ARGUMENT metadata");
      expect(metadata({ a: [1, { b: [number] }] })).toBe("INVALID_ARGUMENT metadata");
      expect(metadata({ a: [Number.MAX_VALUE, -0, null, true, "NaN"] })).toBe("");
    },
  );

  it("may be nested 32 deep", () => {
    const nested = (depth: number): object => (depth === 1 ? {} : { a: nested(depth - 1) });
    const lists = (depth: number): unknown[] => (depth === 1 ? [] : [lists(depth - 1)]);
    const parsed = (value: object) => metadata(JSON.parse(JSON.stringify(value)));
    expect([parsed(nested(32)), parsed({ a: lists(31) })]).toEqual(["", ""]);
    expect([parsed(nested(33)), parsed({ a: lists(32) })]).toEqual(Array(2).fill("INVALID_ARGUMENT metadata"));
  });

  it("is refused, not followed, where it is nested beyond what can be written", () => {
    let deep: Record<string, never> | { a: object } = {};
    for (let depth = 0; depth < 200_000; depth++) deep = { a: deep };
    expect(metadata(JSON.parse(JSON.stringify({ a: 1 })))).toBe("");
    expect(metadata(deep as Parameters<typeof metadata>[0])).toMatch(/^(INVALID_ARGUMENT|TOO_LARGE) metadata$/);
  });
});

describe("names, settings, roles and kinds", () => {
  it("a name is at most 256 bytes, and may be empty", () => {
    expect(verdict(() => validate.validateName("name", ""))).toBe("");
    expect(verdict(() => validate.validateName("name", "é".repeat(128)))).toBe("");
    expect(verdict(() => validate.validateName("name", `${"é".repeat(128)}x`))).toBe("TOO_LARGE name");
  });

  it("a retention is nothing, or from a second on", () => {
    const settings = (init: MessageInitShape<typeof RoomSettingsSchema>) =>
      verdict(() => validate.validateSettings("settings", create(RoomSettingsSchema, init)));
    expect(settings({ slowModeMs: 5 })).toBe("");
    expect(settings({ retentionMs: 0 })).toBe("");
    expect(settings({ retentionMs: 1_000 })).toBe("");
    expect(settings({ retentionMs: 999 })).toBe("INVALID_ARGUMENT settings.retention_ms");
    expect(verdict(() => validate.validateSettings("settings", undefined))).toBe("");
  });

  it("a reaction is an emoji or a short code", () => {
    const emoji = (text: string) => verdict(() => validate.validateEmoji("emoji", text));
    expect(["+1", "👩‍👩‍👧‍👦", ":shipit:"].map(emoji)).toEqual(["", "", ""]);
    expect(["", "two words", "a\tb", "a\u00a0b"].map(emoji)).toEqual(Array(4).fill("INVALID_ARGUMENT emoji"));
    expect(emoji("x".repeat(64))).toBe("");
    expect(emoji("x".repeat(65))).toBe("TOO_LARGE emoji");
  });

  it("a role or kind of a newer contract is refused, an inbox too", () => {
    const newer: number = 99;
    expect(verdict(() => validate.validateRole("role", Role.READER))).toBe("");
    expect(verdict(() => validate.validateRole("role", newer))).toBe("INVALID_ARGUMENT role");
    expect(verdict(() => validate.validateRoomKind("kind", RoomKind.CHANNEL))).toBe("");
    expect(verdict(() => validate.validateRoomKind("kind", RoomKind.INBOX))).toBe("INVALID_ARGUMENT kind");
    expect(verdict(() => validate.validateRoomKind("kind", newer))).toBe("INVALID_ARGUMENT kind");
  });
});
