// Relays of a link, from the node's end to the bridge's: each session gets what is said to it and to its relays, in the order said.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LinkedFrame } from "../../../bridge/link/linked-frame.js";
import { type Attachment, type Flushable, type RelayedSession, Relays } from "../../../bridge/link/relays.js";
import type { FrameEncoding } from "../../../src/core/session/port.js";
import { type LinkLeft, LinkService } from "../../../src/gen/trunkline/v1/link_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { type Addressee, LinkBatch } from "../../../src/transport/grpc/link/batch.js";
import { LinkRelays, type RelayingLink } from "../../../src/transport/grpc/link/link-relays.js";

const AS_IT_CAME: FrameEncoding = {
  name: "as it came",
  frame: () => new Uint8Array(),
  roomEvents: () => new Uint8Array(),
  ofProtobuf: (bytes) => bytes,
};

/** A session as both ends know it. */
class Session implements Addressee, RelayedSession {
  readonly number: number;
  lastDelivery = -1;
  lastBatch = 0;
  held = false;
  readonly attachments: Attachment[] = [];
  readonly got: string[] = [];

  constructor(number: number) {
    this.number = number;
  }

  relayed(frame: LinkedFrame, toFlush: Flushable[]): void {
    toFlush.push({ flush: () => {} });
    this.got.push(Buffer.from(frame.in(AS_IT_CAME)).toString());
  }
}

class Wire implements RelayingLink {
  batch = new LinkBatch();
  readonly node = new LinkRelays(this);
  readonly #left: Pick<LinkLeft, "attachment" | "sent">[] = [];
  readonly bridge = new Relays((attachment, sent) => this.#left.push({ attachment, sent }));
  readonly #sessions: readonly Session[];
  /** Frames that have crossed. */
  frames = 0;

  constructor(sessions: readonly Session[]) {
    this.#sessions = sessions;
  }

  sessionOf(number: number): Session | undefined {
    return this.#sessions[number - 1];
  }

  /** What the node has said arrives at the bridge. */
  cross(): void {
    const { batch } = this;
    this.batch = new LinkBatch();
    const down = serviceDefinition(LinkService).link.responseDeserialize(Buffer.from(batch.encode()));
    this.frames += down.frames.length;
    for (const { frame, sessions, relays, sent, detach, attach } of down.deliveries) {
      for (const attachment of detach) this.bridge.detach(attachment);
      for (const attachment of attach) {
        const session = this.#sessions[attachment.session - 1];
        if (session !== undefined) this.bridge.attach(attachment, session);
      }
      const linked = new LinkedFrame(down.frames[frame] ?? new Uint8Array());
      for (const number of sessions) this.#sessions[number - 1]?.relayed(linked, []);
      for (const relay of relays) this.bridge.deliver(linked, relay, sent, []);
    }
  }

  /** What the bridge has said arrives at the node. */
  hear(): void {
    for (const left of this.#left.splice(0)) this.node.left(left as LinkLeft);
  }
}

const SHARED = ["a", "b", "c"].map((text) => Buffer.from(text));
const fourSessions = () => [1, 2, 3, 4].map((number) => new Session(number));
const anySession = fc.nat({ max: 3 });
const is = <I extends string>(step: I) => fc.constant(step);

describe("what sessions of a link get", () => {
  it("is what was said to them and to their relays, in the order said, and crosses once", () => {
    const step = fc.oneof(
      fc.record({ is: is("deliver"), session: anySession, frame: fc.nat({ max: 2 }) }),
      fc.record({ is: is("relay"), relay: fc.nat({ max: 1 }), frame: fc.nat({ max: 2 }) }),
      fc.record({ is: is("move"), session: anySession, relay: fc.nat({ max: 1 }) }),
      fc.record({ is: is("cross") }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const sessions = fourSessions();
        const wire = new Wire(sessions);
        const relays = [0, 1].map(() => ({ number: wire.node.open(), sent: 0, at: new Map<Session, number>() }));
        const said = new Map(sessions.map((each) => [each, [] as string[]]));
        let crossings = 1;
        for (const next of steps) {
          if (next.is === "cross") {
            crossings++;
            wire.cross();
          } else if (next.is === "deliver") {
            const [session, frame] = [sessions[next.session], SHARED[next.frame]];
            if (session === undefined || frame === undefined) continue;
            wire.batch.deliver(frame, session);
            said.get(session)?.push(frame.toString());
          } else if (next.is === "relay") {
            const [relay, frame] = [relays[next.relay], SHARED[next.frame]];
            if (relay === undefined || frame === undefined) continue;
            wire.batch.relay(frame, relay.number, ++relay.sent);
            for (const session of relay.at.keys()) said.get(session)?.push(frame.toString());
          } else {
            const [session, relay] = [sessions[next.session], relays[next.relay]];
            if (session === undefined || relay === undefined) continue;
            const attachment = relay.at.get(session);
            if (attachment !== undefined) {
              wire.node.detach(attachment);
              relay.at.delete(session);
            } else
              relay.at.set(
                session,
                wire.node.attach({ session: session.number, left: () => true }, relay.number, relay.sent),
              );
          }
        }
        wire.cross();
        for (const [session, expected] of said) expect(session.got).toEqual(expected);
        expect(wire.frames).toBeLessThanOrEqual(SHARED.length * crossings);
      }),
      { numRuns: 1_000 },
    );
  });

  it("has each event once and in order, whoever is let go and taken back meanwhile", () => {
    const step = fc.oneof(
      fc.record({ is: is("event") }),
      fc.record({ is: is("event") }),
      fc.record({ is: is("signal") }),
      fc.record({ is: is("attach"), session: anySession }),
      fc.record({ is: is("detach"), session: anySession }),
      fc.record({ is: is("hold"), session: anySession, held: fc.boolean() }),
      fc.record({ is: is("cross") }),
      fc.record({ is: is("hear") }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const sessions = fourSessions();
        const wire = new Wire(sessions);
        const relay = wire.node.open();
        const events: Buffer[] = [];
        const attachments = new Map<Session, number>();
        /** The node says itself what comes after `sent`, and goes on so until the session is attached again. */
        const tell = (session: Session, sent: number): void => {
          attachments.delete(session);
          for (const event of events.slice(sent)) wire.batch.deliver(event, session);
        };
        const attach = (session: Session | undefined): void => {
          if (session === undefined || attachments.has(session)) return;
          const left = (sent: number): boolean => {
            tell(session, sent);
            return sent <= events.length;
          };
          attachments.set(session, wire.node.attach({ session: session.number, left }, relay, events.length));
        };
        const take = (next: (typeof steps)[number]): void => {
          switch (next.is) {
            case "event": {
              const event = Buffer.from(String(events.length + 1));
              events.push(event);
              wire.batch.relay(event, relay, events.length);
              for (const each of sessions) if (!attachments.has(each)) wire.batch.deliver(event, each);
              return;
            }
            case "signal":
              wire.batch.relay(Buffer.from("signal"), relay, 0);
              return;
            case "attach":
              attach(sessions[next.session]);
              return;
            case "detach": {
              const session = sessions[next.session];
              const attachment = session && attachments.get(session);
              if (session === undefined || attachment === undefined) return;
              wire.node.detach(attachment);
              return;
            }
            case "hold": {
              const session = sessions[next.session];
              if (session !== undefined) session.held = next.held;
              return;
            }
            case "cross":
              wire.cross();
              return;
            case "hear":
              wire.hear();
              return;
          }
        };
        for (const next of steps) take(next);
        for (let round = 0; round < 2; round++) {
          wire.cross();
          wire.hear();
        }
        for (const { got } of sessions) {
          expect(got.filter((text) => text !== "signal")).toEqual(events.map(String));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
