// What the parts of the chat share.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Seat } from "../account/seat.js";
import type { Link } from "../link/link.js";
import type { Members } from "./members.js";

export interface Chat extends Link {
  readonly seat: Seat;
  readonly members: Members;
  /** What was being written where another room was looked at meanwhile, by room. */
  readonly drafts: Map<string, string>;
  /** Back to the door. */
  readonly onLeave: () => void;
}

export const ChatContext = createContext<Chat | undefined>(undefined);

export function useChat(): Chat {
  const chat = useContext(ChatContext);
  if (chat === undefined) throw new Error("outside of a chat");
  return chat;
}
