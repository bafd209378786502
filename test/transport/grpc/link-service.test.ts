// A link as bridges see it, over real gRPC: sessions side by side, frames once, flow control, faults.

import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { wireError } from "../../../src/core/session/frames.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { LinkService } from "../../../src/gen/trunkline/v1/link_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { fromStatus } from "../../../src/rpc/status.js";
import { LinkBatch } from "../../../src/transport/grpc/link/batch.js";
import type { FakeConnection } from "../../bridge/fake-core.js";
import { bearer, useGrpcServer } from "./use-grpc-server.js";
import { LinkClient, SECRET, useLink } from "./use-link.js";

const KIB = 1024;

describe("a link", () => {
  it("is welcomed with the window and the longest frame", async () => {
    const { link } = await useLink({ limits: { maxFrameBytes: 1_000 } });
    expect(link.downs[0]?.welcome).toMatchObject({ windowBytes: 128 * KIB, maxFrameBytes: 1_000 });
  });

  it("carries what clients say to sessions of their own, and what these say back", async () => {
    const { link, core } = await useLink();
    link.send(
      { case: "open", value: { session: 1, address: "192.0.2.1", token: "t" } },
      { case: "open", value: { session: 2, address: "192.0.2.2" } },
    );
    link.frame(2, { ref: 7, frame: { case: "ping", value: { id: 1 } } });
    const [one, two] = [await core.sessions.connection(0), await core.sessions.connection(1)];
    await two.until(({ frames }) => frames.length === 1);
    expect(one.origin).toEqual({ transport: "websocket", address: "192.0.2.1", token: "t" });
    expect(two.origin).toEqual({ transport: "websocket", address: "192.0.2.2" });
    expect(two.frames).toMatchObject([{ ref: 7, frame: { case: "ping" } }]);
    expect(one.frames).toEqual([]);
    one.sink.write([Buffer.from("for one")]);
    two.sink.write([Buffer.from("for two"), Buffer.from("more")]);
    await link.until(() => link.delivered(2).length === 2);
    expect(link.delivered(1)).toEqual(["for one"]);
    expect(link.delivered(2)).toEqual(["for two", "more"]);
  });

  it("carries a frame of many sessions once", async () => {
    const { link, core } = await useLink();
    for (let session = 1; session <= 50; session++) link.open(session);
    await core.sessions.connection(49);
    const shared = Buffer.from("said to all");
    for (const { sink } of core.sessions.connections) sink.write([shared]);
    await link.until(() => link.delivered(50).length === 1);
    expect(link.frames).toEqual(["said to all"]);
    for (let session = 1; session <= 50; session++) expect(link.delivered(session)).toEqual(["said to all"]);
  });

  it("ends a session after what was written to it, and says no more of it", async () => {
    const { link, core } = await useLink();
    link.open(1);
    const { sink } = await core.sessions.connection();
    sink.write([Buffer.from("goodbye")]);
    sink.end(CloseCode.REPLACED, "elsewhere");
    sink.write([Buffer.from("late")]);
    await link.until(() => link.ended.length === 1);
    expect(link.ended).toMatchObject([{ session: 1, code: CloseCode.REPLACED, reason: "elsewhere" }]);
    expect(link.delivered(1)).toEqual(["goodbye"]);
    // What the bridge said before it knew is passed over.
    link.send(
      { case: "gone", value: { session: 1, clean: true } },
      { case: "taken", value: { sessions: [1], bytes: [7] } },
    );
    link.open(2);
    expect((await core.sessions.connection(1)).clean).toBeUndefined();
  });

  it("says that a session's client is to come back, after what was written to it, and leaves it to the bridge to tell it", async () => {
    const { link, core } = await useLink();
    link.open(1);
    const { sink } = await core.sessions.connection();
    sink.write([Buffer.from("last words")]);
    const error = wireError(new TrunklineError(ErrorCode.UNAVAILABLE, "nobody knows"));
    sink.dismiss?.({ code: CloseCode.UNAVAILABLE, reason: "nobody knows", reconnectAfterMs: 0, error });
    sink.write([Buffer.from("late")]);
    sink.end(CloseCode.GOING_AWAY, "again");
    await link.until(() => link.ended.length === 1);
    const ended = { session: 1, code: CloseCode.UNAVAILABLE, reason: "nobody knows", returnAfterMs: 0, error };
    expect(link.ended).toMatchObject([ended]);
    expect(link.delivered(1)).toEqual(["last words"]);
  });

  it("tells a session how its client has gone, what was malformed, and that it is to finish or leave", async () => {
    const { link, core } = await useLink();
    for (const session of [1, 2, 3]) link.open(session);
    const [one, two, three] = await Promise.all([0, 1, 2].map((index) => core.sessions.connection(index)));
    link.send(
      { case: "gone", value: { session: 1, clean: true } },
      { case: "finish", value: { session: 2 } },
      { case: "finish", value: { session: 3, reconnectAfterMs: 900 } },
      {
        case: "malformed",
        value: { session: 3, error: { code: ErrorCode.TOO_LARGE, message: "frame: too long" }, undecodable: true },
      },
    );
    await three?.until(({ faults }) => faults.length === 1);
    expect(one?.clean).toBe(true);
    expect(two?.finished).toBe(true);
    expect(three?.left).toBe(900);
    expect(three?.faults).toMatchObject([
      { error: { code: ErrorCode.TOO_LARGE, message: "frame: too long" }, undecodable: true, ref: undefined },
    ]);
  });

  it("tells one session of a frame that cannot be read, or is too long, and goes on with the others", async () => {
    const { link, core } = await useLink({ limits: { maxFrameBytes: 100 } });
    link.open(1);
    link.open(2);
    link.send(
      { case: "frame", value: { session: 1, frame: Buffer.from([0xff]) } },
      { case: "frame", value: { session: 1, frame: Buffer.alloc(101) } },
    );
    link.frame(2, { frame: { case: "ping", value: { id: 1 } } });
    const [one, two] = [await core.sessions.connection(0), await core.sessions.connection(1)];
    await two.until(({ frames }) => frames.length === 1);
    expect(one.faults).toMatchObject([
      { error: { code: ErrorCode.INVALID_ARGUMENT } },
      { error: { code: ErrorCode.TOO_LARGE } },
    ]);
  });

  it("refuses a client that is not admitted, with when to come back", async () => {
    const { link, core } = await useLink();
    core.sessions.admission = { admitted: false, retryAfterMs: 1_200 };
    link.open(1);
    await link.until(() => link.ended.length === 1);
    expect(link.ended).toMatchObject([{ session: 1, code: CloseCode.OVERLOADED, retryAfterMs: 1_200 }]);
    expect(core.sessions.connections).toEqual([]);
  });

  it("has lost every session when its bridge goes", async () => {
    const { link, core, server } = await useLink();
    link.open(1);
    link.open(2);
    await core.sessions.connection(1);
    link.call.cancel();
    await Promise.all(core.sessions.connections.map((each) => each.until(({ clean }) => clean === false)));
    expect(server.sessions).toBe(0);
  });
});

describe("flow control of a link", () => {
  it("holds a session back whose client does not take what is delivered, and no other", async () => {
    const { link, core } = await useLink();
    link.open(1);
    link.open(2);
    const [slow, fast] = [await core.sessions.connection(0), await core.sessions.connection(1)];
    const frame = Buffer.alloc(64 * KIB, "x");
    expect(slow.sink.write([frame])).toBe(true);
    expect(slow.sink.write([frame])).toBe(false);
    expect(fast.sink.write([frame])).toBe(true);
    await link.until(() => link.delivered(1).length === 2);
    link.send({ case: "taken", value: { sessions: [2], bytes: [64 * KIB] } });
    link.send({ case: "taken", value: { sessions: [1], bytes: [1] } });
    await slow.until(({ drains }) => drains === 1);
    expect(fast.drains).toBe(0);
  });

  it("holds every session back while the bridge does not read, and lets them go on when it does", async () => {
    const server = await useGrpcServer({ linkSecret: SECRET });
    const link = new LinkClient(server, SECRET, false);
    link.send({ case: "hello", value: { bridge: "edge-1" } });
    for (let session = 1; session <= 100; session++) link.open(session);
    await server.core.sessions.connection(99);
    const { connections } = server.core.sessions;
    // Each frame is another: none is sent once for many. The window of each would take two.
    const write = ({ sink }: FakeConnection): boolean => sink.write([Buffer.alloc(64 * KIB, "x")]);
    const held = connections.filter((each) => !write(each));
    expect(held.length).toBeGreaterThan(0);
    expect(held.every(({ drains }) => drains === 0)).toBe(true);
    link.call.on("data", (down) => link.downs.push(down));
    await Promise.all(held.map((each) => each.until(({ drains }) => drains > 0)));
    const delivered = (): number => link.downs.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    await link.until(() => delivered() === connections.length);
  });

  it("ends a link whose bridge says that more was taken than was under way", async () => {
    const { link, core } = await useLink();
    link.open(1);
    const session = await core.sessions.connection();
    link.send({ case: "taken", value: { sessions: [1], bytes: [1] } });
    expect(fromStatus(await link.status)).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, field: "taken.bytes" });
    expect(session.clean).toBe(false);
  });
});

describe("a link that is not a bridge's", () => {
  it("is refused without the secret", async () => {
    const server = await useGrpcServer({ linkSecret: SECRET });
    for (const secret of ["", "another", `${SECRET} `.trimEnd().toUpperCase()]) {
      const link = new LinkClient(server, secret);
      link.send({ case: "hello", value: { bridge: "edge-1" } });
      expect(await link.status).toMatchObject({ code: status.UNAUTHENTICATED });
    }
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).link;
    const call = server.client().makeBidiStreamRequest(path, requestSerialize, responseDeserialize, bearer("good-ada"));
    const ended = new Promise((resolve) => call.on("status", resolve));
    call.on("error", () => {});
    expect(await ended).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(server.core.sessions.connections).toEqual([]);
  });

  it("is one that shows any of several secrets, and from a change on one of the new ones", async () => {
    const server = await useGrpcServer({ linkSecret: [SECRET, "another"] });
    const shows = async (secret: string): Promise<LinkClient> => {
      const link = new LinkClient(server, secret);
      link.send({ case: "hello", value: { bridge: "edge-1" } });
      await link.until(() => link.downs.length === 1);
      return link;
    };
    const open = await shows(SECRET);
    await shows("another");
    server.server.replaceLinkSecrets(["another", "a third"]);
    const refused = new LinkClient(server, SECRET);
    expect(await refused.status).toMatchObject({ code: status.UNAUTHENTICATED });
    await shows("another");
    await shows("a third");
    // Which one it was made with is nobody's business any more.
    open.open(1);
    await server.core.sessions.connection(0);
  });

  it("is not served where no secret is set", async () => {
    const link = new LinkClient(await useGrpcServer(), SECRET);
    expect(await link.status).toMatchObject({ code: status.UNIMPLEMENTED });
  });

  it("is ended when it does not begin with hello, or says nothing", async () => {
    const server = await useGrpcServer({ linkSecret: SECRET });
    const rude = new LinkClient(server, SECRET);
    rude.open(1);
    expect(await rude.status).toMatchObject({ code: status.INVALID_ARGUMENT });
    const silent = new LinkClient(server, SECRET);
    await vi.waitFor(() => expect(server.clock.pending).toBeGreaterThan(0));
    server.clock.advance(10_000);
    expect(await silent.status).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });

  it("never harms the node, whatever bytes it sends", async () => {
    const server = await useGrpcServer({ linkSecret: SECRET });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 4 }), async (noise) => {
        const link = new LinkClient(server, SECRET);
        link.send({ case: "hello", value: { bridge: "edge-1" } });
        for (const bytes of noise) link.call.write(bytes);
        link.call.end();
        const { code } = await link.status;
        return code === status.OK || code === status.INVALID_ARGUMENT;
      }),
      { numRuns: 100 },
    );
    expect(server.faults).toEqual([]);
    const after = new LinkClient(server, SECRET);
    after.send({ case: "hello", value: { bridge: "edge-1" } });
    await after.until(() => after.downs.length === 1);
  });
});

describe("a batch of a link", () => {
  it("keeps every session's own order, whatever frames it shares with whom", () => {
    const frames = ["a", "b", "c", "d"].map((text) => Buffer.from(text));
    const writes = fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 60 });
    fc.assert(
      fc.property(writes, (list) => {
        const batch = new LinkBatch();
        const sessions = [1, 2, 3, 4].map((number) => ({ number, lastDelivery: -1, lastBatch: 0 }));
        const expected = new Map<number, string[]>();
        for (const [at, which] of list) {
          const [session, frame] = [sessions[at], frames[which]];
          if (session === undefined || frame === undefined) continue;
          batch.deliver(frame, session);
          expected.set(session.number, [...(expected.get(session.number) ?? []), frame.toString()]);
        }
        const got = new Map<number, string[]>();
        const down = serviceDefinition(LinkService).link.responseDeserialize(Buffer.from(batch.encode()));
        for (const { frame, sessions: to } of down.deliveries) {
          for (const number of to) {
            got.set(number, [...(got.get(number) ?? []), Buffer.from(down.frames[frame] ?? []).toString()]);
          }
        }
        expect(got).toEqual(expected);
        expect(down.frames.length).toBeLessThanOrEqual(frames.length);
      }),
    );
  });
});
