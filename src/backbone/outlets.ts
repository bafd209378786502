// What leaves the server by itself, from options to what the core takes.

import { Webhook } from "../adapters/webhook/webhook.js";
import type { EventCase, OutletOptions } from "../core/outlet/options.js";
import type { Clock } from "../ports/clock.js";
import type { Notifier } from "../ports/notifier.js";
import type { Engine } from "./engine.js";

/** Where to post, and how it is signed. */
export interface WebhookTarget {
  /** https, or http on loopback. */
  readonly url: string;
  /** One, or two while they are rotated: each post is signed with both. */
  readonly secrets: readonly string[];
  /** How long an answer is waited for, in milliseconds. Default 10,000. */
  readonly deadlineMs?: number;
}

export interface WebhookOptions extends WebhookTarget {
  /** Names its place in the log; another name begins anew. An id, ≤ 64 bytes. */
  readonly name: string;
  /** The cases of RoomEvent's kinds, e.g. "messageCreated". Default: every kind. */
  readonly kinds?: readonly EventCase[];
  /** Default: every tenant. */
  readonly tenants?: readonly string[];
  /** Only rooms whose id begins so. Default: any. */
  readonly roomPrefix?: string;
  /** How long the same events are tried before they become a dead letter, in milliseconds. Default a day. */
  readonly giveUpAfterMs?: number;
}

export interface NotifierTarget {
  /** Default: notifications are only written down, in the store or the cluster's topic. */
  readonly webhook?: WebhookTarget;
  /** How long a user must have been away, and a message unreceived, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /** In rooms with more members only those are told whom a message names. Default 100. */
  readonly wideRoom?: number;
  /** Whether notifications hold what the message says. Default false. */
  readonly withBody?: boolean;
  /** How long a notification is tried before it is given up, in milliseconds. Default a day. */
  readonly giveUpAfterMs?: number;
}

/** What leaves the server by itself. */
export interface OutletTargets {
  /** Told of messages for users who are away. Default: nobody is. */
  readonly notifier?: NotifierTarget;
  /** Told of events, each by itself. */
  readonly webhooks?: readonly WebhookOptions[];
}

/** The name under which a notifier's webhook is told of. */
const NOTIFIER_ENDPOINT = "notifier";

/** Throws where a URL is not one to send what users say to, or two webhooks have one name. */
export function outletsOf(
  { notifier, webhooks = [] }: OutletTargets,
  engine: Pick<Engine, "outlets" | "notifications">,
  clock: Clock,
): { readonly outlets: OutletOptions; close(): void } {
  if (new Set(webhooks.map(({ name }) => name)).size < webhooks.length) throw new Error("two webhooks have one name");
  const open: Webhook[] = [];
  const webhook = (endpoint: string, target: WebhookTarget) => {
    const opened = new Webhook({ ...target, endpoint, clock });
    open.push(opened);
    return opened;
  };
  const events = webhooks.map((options) => {
    const { name, kinds, tenants, roomPrefix, giveUpAfterMs } = options;
    return {
      name,
      sink: webhook(name, options),
      ...(kinds && { kinds: new Set(kinds) }),
      ...(tenants && { tenants: new Set(tenants) }),
      ...(roomPrefix !== undefined && { roomPrefix }),
      ...(giveUpAfterMs !== undefined && { giveUpAfterMs }),
    };
  });
  const away = notifier && {
    ...notifier,
    notifier: written(engine.notifications, notifier.webhook && webhook(NOTIFIER_ENDPOINT, notifier.webhook)),
  };
  return {
    outlets: { store: engine.outlets, events, ...(away && { notifier: away }) },
    close: () => {
      for (const each of open) each.close();
    },
  };
}

/** Written down once it was taken. */
function written(log: Notifier | undefined, target: Notifier | undefined): Notifier {
  if (log === undefined) throw new Error("the engine was opened without a place for notifications");
  if (target === undefined) return log;
  return {
    notify: async (notification) => {
      await target.notify(notification);
      await log.notify(notification);
    },
  };
}
