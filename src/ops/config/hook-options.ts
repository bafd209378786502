// The application's say, as options.

import { duration, list, oneOf, optionalText, someOf, toggle } from "./option.js";

/** Longer, and whoever waits has given up; in milliseconds. */
const LONGEST_DEADLINE_MS = 10_000;
const DEADLINE_MS = 500;
const FAILURE = ["closed", "open"] as const;

export const HOOK_OPTIONS = {
  publishHookAddress: optionalText(
    "HOST:PORT",
    "The application's PublishHookService, asked before a message is stored. Not set: none is. TLS, unless it is on this machine.",
  ),
  publishHookDeadline: duration(DEADLINE_MS, 1, "How long its answer is waited for.", LONGEST_DEADLINE_MS),
  publishHookFailure: oneOf(
    FAILURE,
    "closed",
    "What happens to a message without an answer. closed: it is refused, to be sent again. open: it is published.",
  ),
  publishHookRooms: someOf(
    ["direct", "group", "channel", "inbox"],
    ["direct", "group", "channel"],
    "The kinds of rooms it is asked for. Only services write into an inbox.",
  ),
  publishHookBodies: someOf(
    ["text", "attachment", "custom", "system"],
    ["text", "attachment", "custom", "system"],
    "The kinds of bodies it is asked for.",
  ),
  publishHookTenants: list("TENANT", [], "The tenants it is asked for. None stated: all."),
  publishHookServices: toggle(false, "Ask it for what services send, too."),
  publishHookInsecure: toggle(
    false,
    "Do without TLS although it is on another machine. Messages can be read on the way.",
  ),
  publishHookCa: optionalText("FILE", "Who may have signed its certificate, PEM. Not set: the machine's authorities."),
  publishHookClientCert: optionalText("FILE", "This process's certificate towards it (mTLS), PEM. Needs its key too."),
  publishHookClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
  accessHookAddress: optionalText(
    "HOST:PORT",
    "The application's AccessHookService, asked who is in a room and may do what. Not set: the rooms decide by themselves. TLS, unless it is on this machine.",
  ),
  accessHookDeadline: duration(DEADLINE_MS, 1, "How long its answer is waited for.", LONGEST_DEADLINE_MS),
  accessHookFailure: oneOf(
    FAILURE,
    "closed",
    "What happens without an answer. closed: what was asked for is refused, to be asked again. open: members do what their role allows.",
  ),
  accessHookRooms: someOf(["group", "channel"], ["group", "channel"], "The kinds of rooms it is asked for."),
  accessHookTenants: list("TENANT", [], "The tenants it is asked for. None stated: all."),
  accessHookInsecure: toggle(
    false,
    "Do without TLS although it is on another machine. Who is where can be read and changed on the way.",
  ),
  accessHookCa: optionalText("FILE", "Who may have signed its certificate, PEM. Not set: the machine's authorities."),
  accessHookClientCert: optionalText("FILE", "This process's certificate towards it (mTLS), PEM. Needs its key too."),
  accessHookClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
};
