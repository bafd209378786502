// What sharing a connection needs of the browser, and what tabs say to each other. See browser.ts here for the real one.

import type { Keep } from "../keep.js";
import type { Via } from "../session/state.js";

/** Carries messages to everybody of this browser who has opened the same name, except itself, in order. */
export interface Channel {
  post(message: Message): void;
  close(): void;
}

export interface TabsPlatform {
  channel(name: string, received: (message: Message) => void): Channel;
  /**
   * Asks for a lock of which there is one in this browser. `held` is called once it is ours, `lost` once it is taken from us. It is let go when this
   * tab goes, and by what this returns, which also ends the waiting for it.
   * @param how "wait": in turn. "steal": takes it from whoever has it. "try": `lost` is called where somebody has it.
   */
  lock(name: string, how: "wait" | "steal" | "try", held: () => void, lost?: () => void): () => void;
  /** For all tabs. */
  readonly all: Keep;
  /** For this tab and its copies. */
  readonly own: Keep;
}

/** Raised with each change of what tabs say to each other, or of what frames mean: tabs of two versions do not share. */
export const VERSION = 2;

export type Message =
  /** A frame, in JSON. Empty: the next of those that wait within the tab, as they are. */
  | string
  // — on the channel of all tabs —
  /** A tab wants to be connected, over the channel of this name. */
  | { readonly kind: "dial"; readonly wire: string }
  /** Somebody has begun to hold the connection: whoever was connected over another is so no longer. */
  | { readonly kind: "hub"; readonly hub: string }
  /** The connection is being opened: whoever waits to come back may do so now. */
  | { readonly kind: "come" }
  // — from the hub to one tab —
  | { readonly kind: "open"; readonly hub: string }
  | { readonly kind: "close"; readonly hub: string; readonly code: number }
  /** Asks for the user's token. */
  | { readonly kind: "ask"; readonly fresh: boolean }
  /** You are connected, for this user. */
  | { readonly kind: "for"; readonly user: string; readonly via: Via }
  /** The connection is another user's. */
  | { readonly kind: "elsewhere" }
  /** The answer to "there". */
  | { readonly kind: "here" }
  // — from a tab to the hub —
  /** The token; undefined: there is none. */
  | { readonly kind: "token"; readonly token: string | undefined }
  | { readonly kind: "tokenless" }
  /** The first: whose connection it has taken, and for whom this tab was connected before. */
  | { readonly kind: "was"; readonly hub: string; readonly user: string }
  /** So many frames have arrived. */
  | { readonly kind: "got"; readonly frames: number }
  /** Asks whether the hub's time goes on. */
  | { readonly kind: "there" }
  | { readonly kind: "left" };

/** Whom a connection is for. */
export function userOf({ tenantId = "", userId = "" }: { readonly tenantId?: string; readonly userId?: string }) {
  return `${tenantId}/${userId}`;
}
