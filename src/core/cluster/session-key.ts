// What a client of the fallback shows with each request: which session, that it is its client, and where the session is.

import { unknownSession } from "./passing-port.js";

export interface SessionKey {
  readonly id: string;
  readonly secret: string;
  /** The node and, behind a "~", the bridge. Either may be missing: there is but one. */
  readonly place: string;
}

/** Longest key, in bytes. */
export const MAX_KEY_LENGTH = 128;
const KEY = /^([\w-]{22})\.([\w-]{22})(?:\.((?:[\w-]{1,31})?(?:~[\w-]{1,32})?))?$/;

/** Throws NOT_FOUND where it is none: no session has it. */
export function parseSessionKey(text: string): SessionKey {
  const [, id = "", secret = "", place = ""] = KEY.exec(text) ?? [];
  if (id === "") throw unknownSession();
  return { id, secret, place };
}

export function sessionKeyOf({ id, secret, place }: SessionKey): string {
  return place === "" ? `${id}.${secret}` : `${id}.${secret}.${place}`;
}

export function placeOf(node: string, bridge: string): string {
  return `${node}~${bridge}`;
}

/** `bridge` undefined: the node's own. */
export function partsOf(place: string): { readonly node: string; readonly bridge: string | undefined } {
  const [node = "", bridge] = place.split("~");
  return { node, bridge };
}
