// Weigh of LinkService: what bridges are told that choose among nodes.

import { create } from "@bufbuild/protobuf";
import { type ClientDuplexStream, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { expect, it, vi } from "vitest";
import { LinkService } from "../../../src/gen/trunkline/v1/link_pb.js";
import { type WeighDown, type WeighUp, WeighUpSchema } from "../../../src/gen/trunkline/v1/weighing_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { type ServerUnderTest, useGrpcServer } from "./use-grpc-server.js";
import { LinkClient, SECRET } from "./use-link.js";

const { weigh } = serviceDefinition(LinkService);
const LOOK_MS = 2_000;

class WeighClient {
  readonly call: ClientDuplexStream<WeighUp | Uint8Array, WeighDown>;
  readonly status: Promise<StatusObject>;
  readonly #downs: WeighDown[] = [];

  constructor(server: ServerUnderTest, secret = SECRET) {
    const metadata = new Metadata();
    metadata.set("authorization", `Bridge ${secret}`);
    this.call = server
      .client()
      .makeBidiStreamRequest(weigh.path, weigh.requestSerialize, weigh.responseDeserialize, metadata);
    this.status = new Promise((resolve) => this.call.on("status", resolve));
    this.call.on("error", () => {});
    this.call.on("data", (down: WeighDown) => this.#downs.push(down));
  }

  say(clients: number, here: boolean): void {
    this.call.write(create(WeighUpSchema, { clients, here }));
  }

  /** Resolves once it was told this last. */
  async hears(clients: number, busy = false): Promise<void> {
    await vi.waitFor(() => expect(this.#downs.at(-1)).toMatchObject({ clients, busy }), { timeout: 5_000 });
  }

  get told(): number {
    return this.#downs.length;
  }
}

async function useNode() {
  const vitals = { sessions: 0, load: 0 };
  const server = await useGrpcServer({ linkSecret: SECRET, vitals: () => vitals });
  return { server, vitals, look: () => server.clock.advance(LOOK_MS) };
}

it("is what bridges bring that go to the node, each at least one, and what is on no link", async () => {
  const { server, vitals } = await useNode();
  vitals.sessions = 10;
  const [one, two] = [new WeighClient(server), new WeighClient(server)];
  one.say(500, false);
  await one.hears(10);
  two.say(0, true);
  await Promise.all([one, two].map((each) => each.hears(11)));
  one.say(500, true);
  await Promise.all([one, two].map((each) => each.hears(511)));
  two.call.cancel();
  await one.hears(510);
  one.say(500, false);
  await one.hears(10);
});

it("counts sessions on links with their bridge, and not once more", async () => {
  const { server, vitals, look } = await useNode();
  const link = new LinkClient(server, SECRET);
  link.send({ case: "hello", value: { bridge: "edge-1" } });
  for (let session = 1; session <= 3; session++) link.open(session);
  await server.core.sessions.connection(2);
  vitals.sessions = 10;
  const bridge = new WeighClient(server);
  bridge.say(3, true);
  await bridge.hears(10);
  vitals.sessions = 107;
  look();
  await bridge.hears(107);
});

it("is told again when it has changed by a good part", async () => {
  const { server, vitals, look } = await useNode();
  vitals.sessions = 1_000;
  const bridge = new WeighClient(server);
  bridge.say(0, false);
  await bridge.hears(1_000);
  vitals.sessions = 1_015;
  look();
  look();
  vitals.sessions = 1_030;
  look();
  await bridge.hears(1_030);
  expect(bridge.told).toBe(2);
});

it("says that the node is busy once it has been for some time, until it has rested for as long", async () => {
  const { server, vitals, look } = await useNode();
  const bridge = new WeighClient(server);
  bridge.say(0, false);
  await bridge.hears(0);
  const looks = (...loads: readonly number[]): void => {
    for (const load of loads) {
      vitals.load = load;
      look();
    }
  };
  looks(0.95, 0.95, 0.5, 0.95, 0.95);
  expect(bridge.told).toBe(1);
  looks(0.95);
  await bridge.hears(0, true);
  looks(0.6, 0.6, 0.8, 0.6, 0.6);
  expect(bridge.told).toBe(2);
  looks(0.6);
  await bridge.hears(0, false);
});

it("is told to nobody but bridges", async () => {
  const { server } = await useNode();
  const guessing = new WeighClient(server, "guessed");
  expect((await guessing.status).code).toBe(status.UNAUTHENTICATED);
});

it("looks at nothing while no bridge is there", async () => {
  const { server } = await useNode();
  const bridge = new WeighClient(server);
  bridge.say(1, true);
  await bridge.hears(1);
  expect(server.clock.pending).toBe(1);
  bridge.call.end();
  expect((await bridge.status).code).toBe(status.OK);
  await vi.waitFor(() => expect(server.clock.pending).toBe(0));
});
