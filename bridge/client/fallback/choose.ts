// Which way to connect: a WebSocket, or the fallback where none gets through. There is one connection at a time; while it is the fallback's,
// a WebSocket is opened now and then to see whether it can be, and is closed before it says anything.

import { ABNORMAL, HEARTBEAT_LOST, NORMAL } from "../close-code.js";
import type { Dial, Platform, Timer, Wire, WireListener } from "../platform.js";

/** Keeps until when the fallback is used, e.g. over a reload. Neither method may throw. */
export interface FallbackMemory {
  /** Milliseconds since 1970; 0 where nothing is known. */
  read(): number;
  write(untilMs: number): void;
}

/** WebSockets in a row over which nothing was heard. */
const ATTEMPTS = 2;
/** One that was given up by whoever asked before so long may have been given up for any reason, in milliseconds. */
const PATIENCE_MS = 5_000;
/** How long the fallback is used before a WebSocket is tried again that could not be opened beside it, in milliseconds. */
const REMEMBERED_MS = 10 * 60_000;
/** The connection is changed when nothing was asked for so long, in milliseconds: then everything is answered. */
const QUIET_MS = 30_000;
/** How long a WebSocket may take to open where it is only tried, in milliseconds. */
const OPENING_DEADLINE_MS = 10_000;
/** In a frame that wants an answer. */
const REF = '"ref":';

export interface Ways {
  readonly socket: Dial;
  readonly events: Dial;
  readonly memory: FallbackMemory;
}

/** Dials WebSockets first, the fallback after ATTEMPTS that failed; what has got through is kept to. */
export function chooseDial({ socket, events, memory }: Ways, platform: Omit<Platform, "dial" | "reachability">): Dial {
  let failures = 0;
  /** When a WebSocket is tried beside the fallback, by the monotonic clock, whatever becomes of connections until then. Undefined: it is not used. */
  let lookAtMs: number | undefined;
  /** False also where what is kept makes no sense. */
  const isRemembered = (): boolean => {
    const leftMs = memory.read() - platform.now();
    return leftMs > 0 && leftMs <= REMEMBERED_MS;
  };
  const remember = (): void => memory.write(platform.now() + REMEMBERED_MS);

  const bySocket: Dial = (url, subprotocol, listener) => {
    const sinceMs = platform.monotonic();
    let heard = false;
    const wire = socket(url, subprotocol, {
      ...listener,
      received(data) {
        heard = true;
        failures = 0;
        lookAtMs = undefined;
        listener.received(data);
      },
      closed(code) {
        if (!heard) failures++;
        listener.closed(code);
      },
    });
    return {
      send: (data) => wire.send(data),
      close(code) {
        if (!heard && platform.monotonic() - sinceMs >= PATIENCE_MS) failures++;
        wire.close(code);
      },
    };
  };

  const byEvents: Dial = (url, subprotocol, listener) => {
    const sinceMs = platform.monotonic();
    let heard = false;
    let askedAtMs = Number.NEGATIVE_INFINITY;
    let timer: Timer | undefined;
    let probe: Wire | undefined;

    const end = (failed: boolean): void => {
      timer?.cancel();
      probe?.close(NORMAL);
      if (!failed) return;
      // It does not get through either.
      memory.write(0);
      failures = 0;
      lookAtMs = undefined;
    };
    const isQuiet = (): boolean => platform.monotonic() - askedAtMs >= QUIET_MS;
    const look = (afterMs: number): void => {
      timer = platform.after(afterMs, () => {
        if (isQuiet()) tryUpgrade();
        else look(QUIET_MS);
      });
    };
    const tryUpgrade = (): void => {
      const probeEnded = (opens: boolean): void => {
        timer?.cancel();
        probe?.close(NORMAL);
        probe = undefined;
        lookAtMs = platform.monotonic() + REMEMBERED_MS;
        if (!opens) {
          remember();
          look(REMEMBERED_MS);
          return;
        }
        // The next connection is by WebSocket, however this one ends; one that opens and carries nothing is enough to come back.
        memory.write(0);
        failures = ATTEMPTS - 1;
        if (!isQuiet()) look(QUIET_MS);
        else {
          wire.close(HEARTBEAT_LOST);
          listener.closed(ABNORMAL);
        }
      };
      probe = socket(url, subprotocol, {
        opened: () => probeEnded(true),
        received: () => {},
        closed: () => probeEnded(false),
      });
      timer = platform.after(OPENING_DEADLINE_MS, () => probeEnded(false));
    };
    const own: WireListener = {
      ...listener,
      received(data) {
        if (!heard && !isRemembered()) remember();
        heard = true;
        listener.received(data);
      },
      closed(code) {
        end(!heard);
        listener.closed(code);
      },
    };
    const wire = events(url, subprotocol, own);
    // It may have been the server that was away, and not the network that lets none through: that shows soon.
    lookAtMs ??= sinceMs + QUIET_MS;
    look(Math.max(lookAtMs - sinceMs, 0));
    return {
      via: "events",
      ...(wire.codec && { codec: wire.codec }),
      send(data) {
        if (typeof data !== "string" || data.includes(REF)) askedAtMs = platform.monotonic();
        wire.send(data);
      },
      close(code) {
        end(!heard && platform.monotonic() - sinceMs >= PATIENCE_MS);
        wire.close(code);
      },
    };
  };

  return (url, subprotocol, listener) => {
    const falls = failures >= ATTEMPTS || isRemembered();
    return (falls ? byEvents : bySocket)(url, subprotocol, listener);
  };
}
