// A bridge's links to nodes over fake cores, by a clock in the test's hands.

import { expect, onTestFinished, vi } from "vitest";
import { Links } from "../../../bridge/link/links.js";
import type { SessionSink } from "../../../src/core/session/port.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { GRPC_ENCODING } from "../../../src/transport/grpc/session-stream.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { type ServerUnderTest, useGrpcServer } from "../../transport/grpc/use-grpc-server.js";
import { SECRET } from "./use-edge.js";

/** Waits until it holds: a busy machine takes its time. */
export function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 10 });
}

/**
 * Nodes over fake cores, and what a bridge has of them. `draws`: what chance gives it, in turn and then again. `serving`: so many of the nodes
 * take links.
 */
export async function useLinks(count: number, draws: readonly number[] = [0], serving = count) {
  const own = Array.from({ length: count }, () => 0);
  const nodes = await Promise.all(
    own.map((_, index) =>
      useGrpcServer({ linkSecret: SECRET, vitals: () => ({ sessions: own[index] ?? 0, load: 0 }) }),
    ),
  );
  for (const { server } of nodes.slice(0, serving)) server.setServing(true);
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  /** The nodes that links were made to, by their places among them. */
  const turns: string[] = [];
  telemetry.on("link.turned", ({ peer, up }) => {
    turns.push(`${nodes.findIndex(({ address }) => address === peer)} ${up ? "up" : "down"}`);
  });
  let drawn = 0;
  const bridge = (id: string, random = () => draws[drawn++ % draws.length] ?? 0): Links => {
    const made = new Links({
      backbones: nodes.map(({ address }) => address),
      tls: undefined,
      secret: SECRET,
      bridge: id,
      id,
      clock,
      telemetry,
      spreadMs: 3_000,
      random,
    });
    onTestFinished(() => made.close());
    return made;
  };
  const links = bridge("edge");
  links.start();
  // Every node has said whether it takes links.
  await eventually(() => {
    expect(links.trouble).toEqual([]);
    expect(links.limits.map((limit) => limit.replace(/^server \d of \d /, ""))).toEqual(
      nodes.slice(serving).map(() => "is not serving"),
    );
  });
  /** The place of the node that a new session goes to. */
  const next = async (): Promise<number> => {
    const before = nodes.map(({ core }) => core.sessions.connections.length);
    links.accept(SINK, { transport: "websocket", address: "192.0.2.1" });
    const more = () => nodes.findIndex(({ core }, index) => core.sessions.connections.length > (before[index] ?? 0));
    await eventually(() => expect(more()).toBeGreaterThanOrEqual(0));
    return more();
  };
  const at = (index: number): ServerUnderTest => {
    const node = nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  };
  /** A node has so many sessions beside those of bridges, and says so. */
  const carry = (index: number, sessions: number): void => {
    own[index] = sessions;
    at(index).clock.advance(2_000);
  };
  return { links, clock, turns, next, at, carry, bridge };
}

export const SINK: SessionSink = { encoding: GRPC_ENCODING, write: () => true, end: () => {} };
