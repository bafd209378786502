// What a field may hold: checked once, at the edge, with errors that name the field and the reason.

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type Body, type Mention, Role, RoomKind, type RoomSettings } from "../gen/trunkline/v1/message_pb.js";
import type { SendSignal } from "../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";
import type { Identity } from "../ports/token-verifier.js";
import type { Limits } from "./limit/limits.js";

/** Longest id or key, in bytes. All characters allowed in ids are one byte long. */
export const MAX_ID_LENGTH = 128;
/** Ids that begin so are made by the system and cannot be chosen. */
export const SYSTEM_ID_PREFIX = "~";
const MAX_NAME_BYTES = 256;
/** Objects and lists of metadata within each other. Decoders refuse messages that are nested beyond 100, at two a level. */
const MAX_METADATA_DEPTH = 32;
const MAX_MENTIONS = 50;
const MAX_URL_BYTES = 2_048;
const MAX_FILE_NAME_BYTES = 255;
const MAX_EMOJI_BYTES = 64;
const MAX_SIGNAL_TYPE_LENGTH = 64;
const MAX_SIGNAL_BYTES = 4_096;
/** A day. */
const MAX_SLOW_MODE_MS = 24 * 3_600_000;
const MIN_LIFETIME_MS = 1_000;
/** Just under 50 days: what 32 bits of milliseconds hold. */
/** Shorter, and a room would be archived while somebody writes. */
const MIN_ARCHIVE_AFTER_S = 60;
const MAX_LIFETIME_MS = 0xffff_ffff;
const ID = /^[A-Za-z0-9._:~-]+$/;
const URL_SCHEME = /^[a-z][a-z0-9+.-]*:/i;
/** Schemes that a page which shows an attachment could be tricked into running. */
const DANGEROUS_SCHEME = /^(javascript|data|vbscript):/i;

/** Bytes of a string in UTF-8, without encoding it. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      // A surrogate pair: two units, four bytes. One alone is encoded as U+FFFD, three.
      length += 2;
      i++;
    } else length += 2;
  }
  return length;
}

/** NaN, what stands after the end, is none. */
function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/** An id, a key: 1–128 bytes of [A-Za-z0-9._:~-]. */
export function validateId(field: string, value: string): void {
  if (value === "") throw TrunklineError.invalid(field, "is required");
  if (value.length > MAX_ID_LENGTH) throw TrunklineError.invalid(field, `at most ${MAX_ID_LENGTH} bytes`);
  if (!ID.test(value)) throw TrunklineError.invalid(field, "only A-Z a-z 0-9 . _ : ~ - are allowed");
}

export function validateOptionalId(field: string, value: string): void {
  if (value !== "") validateId(field, value);
}

export function validateName(field: string, value: string): void {
  if (utf8Length(value) > MAX_NAME_BYTES) throw TrunklineError.tooLarge(field, MAX_NAME_BYTES);
}

export function validateMetadata(field: string, value: JsonObject | undefined, limits: Limits): void {
  if (value === undefined) return;
  requireWritable(field, value, MAX_METADATA_DEPTH);
  // The struct arrives as JSON; its encoded size is what is stored.
  let bytes: number;
  try {
    bytes = utf8Length(JSON.stringify(value));
  } catch (cause) {
    throw new TrunklineError(ErrorCode.INVALID_ARGUMENT, `${field}: is no JSON object`, { field, cause });
  }
  if (bytes > limits.maxMetadataBytes) throw TrunklineError.tooLarge(field, limits.maxMetadataBytes);
}

/** What one encoding can say and another cannot would be stored, and then fail whoever reads it. */
function requireWritable(field: string, value: JsonValue, levels: number): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw TrunklineError.invalid(field, "numbers must be finite: JSON has no others");
  }
  if (typeof value !== "object" || value === null) return;
  if (levels === 0) throw TrunklineError.invalid(field, `is nested deeper than ${MAX_METADATA_DEPTH}`);
  for (const inner of Object.values(value)) requireWritable(field, inner, levels - 1);
}

export function validateSettings(field: string, settings: RoomSettings | undefined): void {
  if ((settings?.slowModeMs ?? 0) > MAX_SLOW_MODE_MS) {
    throw TrunklineError.invalid(`${field}.slow_mode_ms`, `at most ${MAX_SLOW_MODE_MS}`);
  }
  if (settings?.retentionMs !== undefined && settings.retentionMs !== 0) {
    validateLifetime(`${field}.retention_ms`, settings.retentionMs);
  }
  const archiveAfterS = settings?.archiveAfterS ?? 0;
  if (archiveAfterS !== 0 && archiveAfterS < MIN_ARCHIVE_AFTER_S) {
    throw TrunklineError.invalid(`${field}.archive_after_s`, `at least ${MIN_ARCHIVE_AFTER_S}, or 0`);
  }
}

/** How long a message lives, in milliseconds. */
export function validateLifetime(field: string, ms: number): void {
  if (ms < MIN_LIFETIME_MS || ms > MAX_LIFETIME_MS) {
    throw TrunklineError.invalid(field, `from ${MIN_LIFETIME_MS} to ${MAX_LIFETIME_MS}`);
  }
}

/** The name of a reaction: an emoji or a short code. */
export function validateEmoji(field: string, emoji: string): void {
  if (emoji === "") throw TrunklineError.invalid(field, "is required");
  if (utf8Length(emoji) > MAX_EMOJI_BYTES) throw TrunklineError.tooLarge(field, MAX_EMOJI_BYTES);
  if (/[\p{Cc}\p{Zs}\p{Zl}\p{Zp}]/u.test(emoji))
    throw TrunklineError.invalid(field, "holds a space or control character");
}

/** An application-defined signal: exactly one target, a type of 1–64 bytes, and at most 4 KiB of data. */
export function validateSignal(field: string, { target, type, data }: SendSignal): void {
  if (target.case === undefined) throw TrunklineError.invalid(field, "room_id or user_id is required");
  validateId(`${field}.${target.case === "roomId" ? "room_id" : "user_id"}`, target.value);
  validateCustomSignal(field, { type, data });
}

/** What an application-defined signal is and carries. */
export function validateCustomSignal(field: string, { type, data }: Pick<SendSignal, "type" | "data">): void {
  validateId(`${field}.type`, type);
  if (type.length > MAX_SIGNAL_TYPE_LENGTH) {
    throw TrunklineError.invalid(`${field}.type`, `at most ${MAX_SIGNAL_TYPE_LENGTH} bytes`);
  }
  if (data.length > MAX_SIGNAL_BYTES) throw TrunklineError.tooLarge(`${field}.data`, MAX_SIGNAL_BYTES);
}

/** A message's body: exactly one kind, each within its limits. */
export function validateBody(field: string, body: Body | undefined, identity: Identity, limits: Limits): void {
  if (body === undefined) throw TrunklineError.invalid(field, "is required");
  const kind = body.kind;
  switch (kind.case) {
    case "text":
      if (kind.value === "") throw TrunklineError.invalid(`${field}.text`, "is empty");
      validateText(`${field}.text`, kind.value, limits);
      return;
    case "attachment": {
      const { url, name, caption, mimeType } = kind.value;
      if (url === "") throw TrunklineError.invalid(`${field}.attachment.url`, "is required");
      if (utf8Length(url) > MAX_URL_BYTES) throw TrunklineError.tooLarge(`${field}.attachment.url`, MAX_URL_BYTES);
      if (!URL_SCHEME.test(url) || DANGEROUS_SCHEME.test(url)) {
        throw TrunklineError.invalid(`${field}.attachment.url`, "must be absolute, of a scheme that cannot be run");
      }
      if (utf8Length(name) > MAX_FILE_NAME_BYTES)
        throw TrunklineError.tooLarge(`${field}.attachment.name`, MAX_FILE_NAME_BYTES);
      if (utf8Length(mimeType) > MAX_FILE_NAME_BYTES) {
        throw TrunklineError.tooLarge(`${field}.attachment.mime_type`, MAX_FILE_NAME_BYTES);
      }
      validateText(`${field}.attachment.caption`, caption, limits);
      return;
    }
    case "custom":
      validateId(`${field}.custom.type`, kind.value.type);
      return;
    case "system":
      if (identity.grants.has("service")) {
        validateId(`${field}.system.type`, kind.value.type);
        validateText(`${field}.system.text`, kind.value.text, limits);
        return;
      }
      throw new TrunklineError(ErrorCode.PERMISSION_DENIED, `${field}.system: only services write system messages`, {
        field: `${field}.system`,
      });
    case undefined:
      throw TrunklineError.invalid(field, "no kind is set");
  }
}

function validateText(field: string, text: string, limits: Limits): void {
  // A string is at least as long in bytes as in units: the cheap test first.
  if (text.length > limits.maxTextBytes || utf8Length(text) > limits.maxTextBytes) {
    throw TrunklineError.tooLarge(field, limits.maxTextBytes);
  }
}

export function validateMentions(field: string, mentions: readonly Mention[]): void {
  if (mentions.length > MAX_MENTIONS) throw TrunklineError.tooLarge(field, MAX_MENTIONS, "users");
  for (const [index, mention] of mentions.entries()) validateId(`${field}[${index}].user_id`, mention.userId);
}

/** A value of a closed enum; values from a newer contract are refused, not guessed. */
export function validateRole(field: string, role: Role): void {
  if (Role[role] === undefined) throw TrunklineError.invalid(field, `there is no role ${role}`);
}

export function validateRoomKind(field: string, kind: RoomKind): void {
  if (RoomKind[kind] === undefined) throw TrunklineError.invalid(field, `there is no room kind ${kind}`);
  if (kind === RoomKind.INBOX) throw TrunklineError.invalid(field, "inboxes are made by the system");
}

/** How many entries a page has. */
export function pageSize(
  field: string,
  asked: number,
  { usual, most }: { readonly usual: number; readonly most: number },
): number {
  if (asked > most) throw TrunklineError.tooLarge(field, most, "entries");
  return asked === 0 ? usual : asked;
}
