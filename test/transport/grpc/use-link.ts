// A bridge's end of a link to a server with a fake core, in the test's hands.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ClientDuplexStream, Metadata, type StatusObject } from "@grpc/grpc-js";
import { vi } from "vitest";
import type { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import {
  type LinkDown,
  LinkService,
  type LinkUp,
  type LinkUpItemSchema,
  LinkUpSchema,
} from "../../../src/gen/trunkline/v1/link_pb.js";
import { ClientFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import type { GrpcServerOptions } from "../../../src/transport/grpc/server.js";
import { type ServerUnderTest, useGrpcServer } from "./use-grpc-server.js";

export const SECRET = "what bridges show";

type Item = Exclude<MessageInitShape<typeof LinkUpItemSchema>["item"], undefined>;

export class LinkClient {
  readonly downs: LinkDown[] = [];
  readonly call: ClientDuplexStream<LinkUp | Uint8Array, LinkDown>;
  readonly status: Promise<StatusObject>;

  constructor(server: ServerUnderTest, secret: string, reading = true) {
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).link;
    const metadata = new Metadata();
    metadata.set("authorization", `Bridge ${secret}`);
    this.call = server.client().makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.status = new Promise((resolve) => this.call.on("status", resolve));
    this.call.on("error", () => {});
    if (reading) this.call.on("data", (down: LinkDown) => this.downs.push(down));
  }

  send(...items: readonly Item[]): void {
    this.call.write(create(LinkUpSchema, { items: items.map((item) => ({ item })) }));
  }

  open(session: number): void {
    this.send({ case: "open", value: { session, address: "192.0.2.1" } });
  }

  frame(session: number, frame: MessageInitShape<typeof ClientFrameSchema>): void {
    const bytes = toBinary(ClientFrameSchema, create(ClientFrameSchema, frame));
    this.send({ case: "frame", value: { session, frame: bytes } });
  }

  /** What has been delivered to a session so far, as text. */
  delivered(session: number): readonly string[] {
    return this.downs.flatMap(({ frames, deliveries }) =>
      deliveries
        .filter(({ sessions }) => sessions.includes(session))
        .map(({ frame }) => Buffer.from(frames[frame] ?? []).toString()),
    );
  }

  /** Frames that have crossed the link, as text. */
  get frames(): readonly string[] {
    return this.downs.flatMap(({ frames }) => frames.map((frame) => Buffer.from(frame).toString()));
  }

  get ended(): readonly { readonly session: number; readonly code: CloseCode }[] {
    return this.downs.flatMap(({ ended }) => ended);
  }

  async until(condition: () => boolean): Promise<void> {
    await vi.waitFor(
      () => {
        if (!condition()) throw new Error("not yet");
      },
      { timeout: 10_000, interval: 10 },
    );
  }
}

/** A link whose bridge has been welcomed. */
export async function useLink(options: Partial<GrpcServerOptions> = {}) {
  const server = await useGrpcServer({ linkSecret: SECRET, ...options });
  const link = new LinkClient(server, SECRET);
  link.send({ case: "hello", value: { bridge: "edge-1" } });
  await link.until(() => link.downs.length === 1);
  return { ...server, link };
}
