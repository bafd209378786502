// What one node asks another, over real gRPC: answered, refused, lost.

import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { GrpcPeers } from "../../../src/adapters/cluster/grpc-peers.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { LookedSchema, LookSchema } from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { type PeerHandler, type PeerQuestion, type PeerReply, Unanswered } from "../../../src/ports/peers.js";
import type { ClusterNode } from "../../../src/ports/placement.js";
import { peerDefinition, peerService } from "../../../src/transport/grpc/peer-service.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const SECRET = "between us";

function look(...userIds: string[]): PeerQuestion {
  return { case: "look", value: create(LookSchema, { userIds }) };
}

function looked(membersSeq: number): PeerReply {
  return { case: "looked", value: create(LookedSchema, { membersSeq }) };
}

/** Starts a node that answers; at the port given, or at a free one. */
async function serve(handler: PeerHandler, port = 0) {
  const server = new Server();
  const context = { telemetry: new Telemetry(), clock: createSystemClock() };
  const serving = peerService(handler, SECRET, context);
  server.addService(peerDefinition, serving.implementation);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    );
  });
  const stop = (): void => server.forceShutdown();
  onTestFinished(stop);
  const node: ClusterNode = { nodeId: `n${bound}`, address: `127.0.0.1:${bound}`, since: 0, leaving: false };
  return { node, port: bound, stop, serving };
}

function usePeers({ secret = SECRET, clock = new StoppedClock() } = {}) {
  let nodes: readonly ClusterNode[] = [];
  let changed = (): void => {};
  const placement = {
    nodes: () => nodes,
    onChanged: (listener: () => void) => {
      changed = listener;
    },
  };
  const peers = new GrpcPeers({ placement, clock, tls: undefined, secret });
  onTestFinished(() => peers.stop());
  const live = (...all: ClusterNode[]): void => {
    nodes = all;
    changed();
  };
  return { peers, clock, live };
}

describe("a question to another node", () => {
  it("is answered, each with its own answer, in whatever order these come", async () => {
    const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    let asked = 0;
    const { node } = await serve(async () => {
      const number = asked++;
      await gates[number]?.promise;
      return looked(number);
    });
    const { peers } = usePeers();
    const answers = gates.map(() => peers.ask(node, look()));
    for (const gate of gates.toReversed()) gate.resolve();
    expect((await Promise.all(answers)).map((answer) => answer.case === "looked" && answer.value.membersSeq)).toEqual([
      0, 1, 2,
    ]);
  });

  it("arrives in the order of the calls", async () => {
    const heard: string[] = [];
    const { node } = await serve(async (question) => {
      if (question.case === "look") heard.push(...question.value.userIds);
      return looked(0);
    });
    const { peers } = usePeers();
    const names = Array.from({ length: 500 }, (_, index) => `user-${index}`);
    await Promise.all(names.map((name) => peers.ask(node, look(name))));
    expect(heard).toEqual(names);
  });

  it("is refused as the other node refuses it", async () => {
    const { node } = await serve(async () => {
      throw new TrunklineError(ErrorCode.CONFLICT, "it has changed", {
        field: "base_version",
        retryAfterMs: 7,
        details: { current_version: "3" },
      });
    });
    await expect(usePeers().peers.ask(node, look())).rejects.toMatchObject({
      code: ErrorCode.CONFLICT,
      message: "it has changed",
      field: "base_version",
      retryAfterMs: 7,
      details: { current_version: "3" },
    });
  });

  it("says nothing of what went wrong inside the other node", async () => {
    const { node } = await serve(async () => {
      throw new Error("secret");
    });
    const refused = usePeers().peers.ask(node, look());
    await expect(refused).rejects.toMatchObject({ code: ErrorCode.INTERNAL, message: "internal error" });
  });

  it("is refused without the cluster's secret, and never heard", async () => {
    let asked = 0;
    const { node } = await serve(async () => looked(asked++));
    const { peers } = usePeers({ secret: "guessed" });
    await expect(peers.ask(node, look())).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(asked).toBe(0);
  });

  it("may have an answer of many megabytes", async () => {
    const users = Array.from({ length: 60_000 }, (_, index) => ({ member: { userId: `${"u".repeat(90)}${index}` } }));
    const { node } = await serve(async () => ({ case: "looked", value: create(LookedSchema, { members: users }) }));
    const answer = await usePeers().peers.ask(node, look());
    expect(answer.case === "looked" && answer.value.members).toHaveLength(users.length);
  });
});

describe("a question that is lost", () => {
  const never: PeerHandler = () => new Promise(() => {});

  it("is refused when no answer comes in time, and leaves no timer", async () => {
    const asked = Promise.withResolvers<void>();
    const { node } = await serve((question) => {
      asked.resolve();
      return never(question);
    });
    const { peers, clock } = usePeers();
    const lost = peers.ask(node, look());
    const refused = expect(lost).rejects.toBeInstanceOf(Unanswered);
    await asked.promise;
    for (let passed = 0; passed < 5_000; passed += 250) clock.advance(250);
    await refused;
    expect(clock.pending).toBe(0);
  });

  it("is refused at once when 64 MiB of others have no answer", async () => {
    const { node } = await serve(never);
    const { peers } = usePeers();
    const long = "u".repeat(8 * 1024 * 1024);
    const lost = Array.from({ length: 7 }, () => peers.ask(node, look(long)));
    const refused = Promise.all(lost.map((one) => expect(one).rejects.toBeInstanceOf(TrunklineError)));
    await expect(peers.ask(node, look(long))).rejects.toMatchObject({
      code: ErrorCode.UNAVAILABLE,
      message: "the room's owner is behind",
    });
    peers.stop();
    await refused;
  });

  it("is refused when the node dies, which is asked again once it is back", async () => {
    const asked = Promise.withResolvers<void>();
    const first = await serve((question) => {
      asked.resolve();
      return never(question);
    });
    const { peers } = usePeers();
    const lost = peers.ask(first.node, look());
    const refused = expect(lost).rejects.toBeInstanceOf(Unanswered);
    await asked.promise;
    first.stop();
    await refused;
    await serve(async () => looked(9), first.port);
    await expect
      .poll(() => peers.ask(first.node, look()).catch(() => undefined), { timeout: 10_000 })
      .toMatchObject({
        value: { membersSeq: 9 },
      });
  });

  it("is refused when the node is known to be gone, and when this one leaves", async () => {
    const { node } = await serve(never);
    const { peers, live } = usePeers();
    live(node);
    const lost = peers.ask(node, look());
    const refused = expect(lost).rejects.toBeInstanceOf(Unanswered);
    live();
    await refused;
    const last = peers.ask(node, look());
    const left = expect(last).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    peers.stop();
    peers.stop();
    await left;
  });
});
