// LinkService's Weigh: what this node has to carry, for bridges that choose among nodes.
//
// Sessions come and go slowly, and where a bridge's new ones go is decided in a moment: a node that counted sessions alone would look empty to
// all bridges at once, and be chosen by all of them. So it counts what each bridge that has chosen it is going to bring.

import { create } from "@bufbuild/protobuf";
import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { type WeighDown, WeighDownSchema, type WeighUp } from "../../../gen/trunkline/v1/weighing_pb.js";
import type { Timer } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { Undecodable } from "../../../rpc/definition.js";
import { type HandlerContext, refusal, undecodable } from "../handler.js";
import { http2StreamOf, letGoOnceReset } from "../http2-stream.js";
import type { SharedSecrets } from "../secret.js";

const OPERATION = "LinkService.weigh";
/** Bridges at once, and those that are being replaced. */
const MAX_BRIDGES = 1_000;
/** What may wait for a bridge to read it. */
const MAX_UNREAD = 100;
/** Between two looks at what changes by itself, in milliseconds. */
const LOOK_MS = 2_000;
/** A change of the node's own sessions by less than this part is not worth a word. */
const NOTABLE_PART = 0.02;
/** A node is busy from so much load on, and until it has come down to so much: each for so many looks in a row. */
const BUSY = { from: 0.9, until: 0.7, looks: 3 };

/** How a node fares. */
export interface Vitals {
  /** Live sessions. */
  readonly sessions: number;
  /** 0 to 1. */
  readonly load: number;
}

type WeighCall = ServerDuplexStream<WeighUp | Undecodable, WeighDown>;

interface Weighing {
  readonly call: WeighCall;
  /** What it brings to this node; 0: it does not, or has not said yet. */
  brings: number;
  /** Whether it has said anything. */
  hasSaid: boolean;
}

export interface WeighServing {
  readonly implementation: UntypedServiceImplementation;
  /** Ends the streams. */
  close(): void;
}

/** `secrets`: what bridges must show. `own`: without what is on links. */
export function weighService(secrets: SharedSecrets, own: () => Vitals, context: HandlerContext): WeighServing {
  const { clock } = context;
  const bridges = new Set<Weighing>();
  let timer: Timer | undefined;
  let telling = false;
  let told = { clients: 0, busy: false };
  let busy = false;
  let looks = 0;

  const clients = (): number => {
    let sum = own().sessions;
    for (const { brings } of bridges) sum += brings;
    return Math.min(sum, 0xffff_ffff);
  };
  const tell = (): void => {
    told = { clients: clients(), busy };
    const down = create(WeighDownSchema, told);
    for (const { call, hasSaid } of bridges) {
      if (call.writableLength > MAX_UNREAD) call.destroy();
      else if (hasSaid) call.write(down);
    }
  };
  /** What several bridges say in one turn is told once. */
  const tellSoon = (): void => {
    if (telling) return;
    telling = true;
    clock.soon(() => {
      telling = false;
      tell();
    });
  };
  const look = (): void => {
    timer = clock.after(LOOK_MS, look);
    const { load } = own();
    const isTurning = busy ? load <= BUSY.until : load >= BUSY.from;
    looks = isTurning ? looks + 1 : 0;
    if (looks >= BUSY.looks) {
      busy = !busy;
      looks = 0;
    }
    const difference = Math.abs(clients() - told.clients);
    if (busy !== told.busy || difference > told.clients * NOTABLE_PART) tell();
  };

  const weigh = (call: WeighCall): void => {
    const refuse = (error: unknown): void => void call.emit("error", refusal(context, OPERATION, error));
    if (!secrets.isShownIn(call.metadata)) {
      refuse(new TrunklineError(ErrorCode.UNAUTHENTICATED, "only bridges may weigh"));
      return;
    }
    if (bridges.size >= MAX_BRIDGES) {
      refuse(new TrunklineError(ErrorCode.LIMIT_EXCEEDED, `there are ${MAX_BRIDGES} bridges already`));
      return;
    }
    const bridge: Weighing = { call, brings: 0, hasSaid: false };
    bridges.add(bridge);
    timer ??= clock.after(LOOK_MS, look);
    const gone = (): boolean => {
      const wasThere = bridges.delete(bridge);
      if (wasThere && bridge.brings > 0) tellSoon();
      if (bridges.size === 0) {
        timer?.cancel();
        timer = undefined;
      }
      return wasThere;
    };
    call.once("cancelled", gone).once("error", gone).once("close", gone);
    letGoOnceReset(http2StreamOf(call));
    call.on("data", (up: WeighUp | Undecodable) => {
      if (!bridges.has(bridge)) return;
      if (up instanceof Undecodable) {
        gone();
        refuse(undecodable(up));
        return;
      }
      const { brings, hasSaid } = bridge;
      bridge.brings = up.here ? Math.max(1, up.clients) : 0;
      bridge.hasSaid = true;
      // That some clients more or less are there can wait for the next look.
      if (!hasSaid || brings > 0 !== up.here) tellSoon();
    });
    call.on("end", () => {
      if (gone()) call.end();
    });
  };

  return {
    implementation: { weigh },
    close() {
      for (const { call } of [...bridges]) call.end();
      bridges.clear();
      timer?.cancel();
      timer = undefined;
    },
  };
}
