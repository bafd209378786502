// A face for who has none: initials on a colour that is the same everywhere.

import type { PresenceStatus } from "../../client/gen/types.js";

const STATUS: Readonly<Record<string, readonly [name: string, text: string]>> = {
  PRESENCE_STATUS_ONLINE: ["online", "online"],
  PRESENCE_STATUS_AWAY: ["away", "away"],
  PRESENCE_STATUS_DO_NOT_DISTURB: ["busy", "do not disturb"],
};

export interface AvatarProps {
  readonly id: string;
  readonly name: string;
  /** Undefined: no dot is shown. */
  readonly status?: PresenceStatus | undefined;
  readonly size?: "small" | "large";
}

export function Avatar({ id, name, status, size = "small" }: AvatarProps) {
  return (
    <span class={`avatar ${size}`} style={{ "--hue": String(hueOf(id)) }} aria-hidden="true">
      {initials(name)}
      {status !== undefined && <span class={`dot ${STATUS[status]?.[0] ?? "offline"}`} />}
    </span>
  );
}

/** "online", "away", "do not disturb" or "offline". */
export function statusText(status: PresenceStatus | undefined): string {
  return STATUS[status ?? ""]?.[1] ?? "offline";
}

export function initials(name: string): string {
  const words = name
    .replace(/^#/, "")
    .trim()
    .split(/[\s._-]+/)
    .filter(Boolean)
    .slice(0, 2);
  return words.map((word) => String.fromCodePoint(word.codePointAt(0) ?? 63).toUpperCase()).join("");
}

/** Far apart for names that are alike: FNV-1a, turned by the golden angle. */
function hueOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return Math.round(((hash >>> 0) * 137.508) % 360);
}
