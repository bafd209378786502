// A bridge in a process of its own, linked to one of several nodes: started, killed, stopped, started again at the same place.

import { setTimeout as pause } from "node:timers/promises";
import type { Endpoints } from "./client/index.js";
import { TestServer } from "./server.js";

/** A bound for the tests, not a claim about speed. */
const READY_PATIENCE_MS = 30_000;
const POLL_MS = 50;

/** What nodes and bridges of tests share. */
export const LINK_SECRET = "shown to the server";

export class TestEdge extends TestServer {
  /** @param nodes They have `LINK_SECRET` as TRUNKLINE_LINK_SECRET. */
  constructor(nodes: readonly TestServer[], environment: { readonly [name: string]: string } = {}) {
    const backbones = nodes.map(({ endpoints }) => endpoints.grpc).join(",");
    super({
      command: "bridge",
      environment: { TRUNKLINE_BACKBONE: backbones, TRUNKLINE_LINK_SECRET: LINK_SECRET, ...environment },
    });
  }

  /** Resolves once it is linked to a node. */
  async ready(): Promise<void> {
    const deadline = performance.now() + READY_PATIENCE_MS;
    for (;;) {
      const response = await fetch(`${this.endpoints.http}/health/ready`);
      if (response.status === 200) return;
      if (performance.now() > deadline) throw new Error(`the bridge is not ready: ${await response.text()}`);
      await pause(POLL_MS);
    }
  }

  /** Where browsers find it; what the fallback sends goes to `other`. */
  with(other: TestEdge): Endpoints {
    return { ...this.endpoints, frames: other.endpoints.http };
  }
}
