// The frames this page uses, as proto3 JSON writes them: what is zero or empty is left out.

export interface Position {
  readonly seq?: number;
  readonly tag?: number;
}

export interface Actor {
  readonly userId?: string;
  readonly deviceId?: string;
  readonly displayName?: string;
}

export interface Body {
  readonly text?: string;
  readonly attachment?: { readonly name?: string };
  readonly custom?: { readonly type?: string };
  readonly system?: { readonly text?: string };
}

/** A message as it stands, from GetHistory. */
export interface Message {
  readonly messageId?: string;
  readonly position?: Position;
  readonly createdAt?: string;
  readonly sender?: Actor;
  readonly body?: Body;
  readonly editedAt?: string;
  readonly deleted?: boolean;
  readonly clientMessageId?: string;
}

export interface Member {
  readonly userId?: string;
  readonly displayName?: string;
}

/** A durable change of the room. Kinds it does not name are passed over. */
export interface RoomEvent {
  readonly eventId?: string;
  readonly position?: Position;
  readonly createdAt?: string;
  readonly actor?: Actor;
  readonly messageCreated?: { readonly body?: Body; readonly clientMessageId?: string };
  readonly messageEdited?: { readonly messageId?: string; readonly body?: Body };
  readonly messageDeleted?: { readonly messageId?: string };
  readonly memberJoined?: { readonly member?: Member };
  readonly memberLeft?: { readonly userId?: string };
  readonly roomCreated?: object;
  readonly roomDeleted?: object;
}

/** Something that was said and is not kept. Kinds it does not name are passed over. */
export interface Signal {
  readonly sender?: Actor;
  readonly typing?: boolean;
}

export interface Refusal {
  /** A name of the contract, e.g. ERROR_CODE_NOT_FOUND. */
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

export interface Room {
  readonly name?: string;
  readonly memberCount?: number;
}

export interface Subscribed {
  readonly roomId?: string;
  readonly room?: Room;
  readonly caughtUp?: object;
  readonly replaying?: { readonly count?: number };
  readonly gap?: { readonly fromSeq?: number; readonly toSeq?: number };
  readonly reset?: { readonly reason?: string };
}

export interface CallResult {
  readonly getHistory?: {
    readonly messages?: readonly Message[];
    readonly asOf?: Position;
    readonly more?: boolean;
    readonly nextIndex?: number;
  };
  readonly getEvents?: { readonly events?: readonly RoomEvent[]; readonly more?: boolean };
  readonly joinRoom?: { readonly room?: Room };
  readonly createRoom?: { readonly room?: Room };
}

export interface ServerFrame {
  readonly replyTo?: number;
  readonly welcome?: { readonly userId?: string; readonly pingIntervalMs?: number };
  readonly subscribed?: Subscribed;
  readonly unsubscribed?: { readonly roomId?: string; readonly reason?: string };
  readonly published?: { readonly messageId?: string; readonly position?: Position; readonly createdAt?: string };
  readonly callResult?: CallResult;
  readonly error?: Refusal;
  readonly roomEvents?: { readonly roomId?: string; readonly events?: readonly RoomEvent[] };
  readonly signals?: { readonly roomId?: string; readonly signals?: readonly Signal[] };
  readonly tokenExpiring?: object;
  readonly goodbye?: { readonly reason?: string; readonly reconnectAfterMs?: number; readonly error?: Refusal };
  readonly ping?: { readonly id?: number };
}

/** One kind of client frame, by its JSON name; `ref` is added when it is sent. */
export type ClientFrame = Readonly<Record<string, object>>;

/** A request was refused. */
export class RefusedError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(refusal: Refusal) {
    super(refusal.message ?? "refused");
    this.code = refusal.code ?? "";
    this.retryable = refusal.retryable ?? false;
    this.retryAfterMs = refusal.retryAfterMs;
  }
}

/** The connection went before the answer came: nobody knows whether it happened. */
export class DisconnectedError extends Error {}

/** The frame of a text message; undefined: not one. */
export function parseFrame(data: unknown): ServerFrame | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const frame: ServerFrame | null = JSON.parse(data);
    return frame ?? undefined;
  } catch {
    return undefined;
  }
}

/** 22 random characters: `crypto.randomUUID` is missing where a page comes from a plain-HTTP address of the local network. */
export function randomId(): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return Array.from(crypto.getRandomValues(new Uint8Array(22)), (byte) => letters[byte & 63]).join("");
}
