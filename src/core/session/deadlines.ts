// When a session ends by itself: its client does not read, or does not answer, or its token is over.

import { create } from "@bufbuild/protobuf";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import type { CoreDependencies } from "../core.js";
import { serverFrame, wireMs } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import type { LiveConnection } from "./live-connection.js";

export class SessionDeadlines {
  readonly #deps: Pick<CoreDependencies, "clock" | "limits">;
  readonly #connection: LiveConnection;
  readonly #heartbeat: Heartbeat;
  #tokenWarned = false;

  constructor(deps: Pick<CoreDependencies, "clock" | "limits">, connection: LiveConnection) {
    this.#deps = deps;
    this.#connection = connection;
    this.#heartbeat = new Heartbeat(deps.limits, deps.clock.monotonic());
  }

  /** The client has sent something. */
  heard(): void {
    this.#heartbeat.heard();
  }

  /** A pong. */
  answered(id: number): void {
    this.#heartbeat.answered(id, this.#deps.clock.monotonic());
  }

  /** The session has another token. */
  renewed(): void {
    this.#tokenWarned = false;
  }

  /** Pings, warns and closes where it is time to. Returns in how many milliseconds to look again; 0: the session has ended. */
  tick(monotonicMs: number, expiresAtMs: number | undefined): number {
    const { limits } = this.#deps;
    const { blockedSinceMs } = this.#connection.outbox;
    if (blockedSinceMs !== undefined && monotonicMs - blockedSinceMs >= limits.stallDeadlineMs) {
      return this.#close(CloseCode.SLOW_CONSUMER, "nothing was read while data waited");
    }
    const tokenMs = this.#tickToken(expiresAtMs);
    if (tokenMs === 0) return 0;
    const beat = this.#heartbeat.tick(monotonicMs);
    if (beat.is === "lost") return this.#close(CloseCode.HEARTBEAT_LOST, "pings were not answered");
    if (beat.is === "ping") {
      const ping = create(wire.PingSchema, { id: beat.id, lastRoundTripMs: beat.lastRoundTripMs });
      this.#connection.outbox.pushFirst(this.#connection.encode(serverFrame({ case: "ping", value: ping })));
    }
    const stallMs =
      blockedSinceMs === undefined ? Number.POSITIVE_INFINITY : blockedSinceMs + limits.stallDeadlineMs - monotonicMs;
    return Math.max(Math.min(beat.nextMs, tokenMs, stallMs), 1);
  }

  #tickToken(expiresAtMs: number | undefined): number {
    if (expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
    const leftMs = expiresAtMs - this.#deps.clock.now();
    if (leftMs <= 0) return this.#close(CloseCode.TOKEN_EXPIRED, "the token has expired");
    const warningMs = leftMs - this.#deps.limits.tokenWarningMs;
    if (warningMs > 0) return warningMs;
    if (!this.#tokenWarned) {
      this.#tokenWarned = true;
      const value = create(wire.TokenExpiringSchema, { inMs: wireMs(leftMs) });
      this.#connection.send({ case: "tokenExpiring", value });
    }
    return leftMs;
  }

  #close(code: CloseCode, reason: string): 0 {
    this.#connection.close(code, reason);
    return 0;
  }
}
