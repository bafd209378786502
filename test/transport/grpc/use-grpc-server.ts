// A gRPC server on a free port over a fake core, and clients that speak to it. All of it ends with the test.

import { once } from "node:events";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { Telemetry, type TelemetryEvents } from "../../../src/core/telemetry.js";
import {
  type ClientFrame,
  ClientFrameSchema,
  type ServerFrame,
  SessionService,
} from "../../../src/gen/trunkline/v1/session_pb.js";
import { type RpcMethod, serviceDefinition } from "../../../src/rpc/definition.js";
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from "../../../src/transport/grpc/server.js";
import { FakeCore } from "../../bridge/fake-core.js";
import { StoppedClock } from "../../support/stopped-clock.js";

export interface ServerUnderTest {
  readonly server: GrpcServer;
  readonly core: FakeCore;
  readonly clock: StoppedClock;
  /** What telemetry was told of calls that went wrong. */
  readonly refused: TelemetryEvents["request.refused"][];
  readonly faults: TelemetryEvents["fault"][];
  readonly address: string;
  /** A client with a connection of its own. */
  client(channel?: ChannelCredentials, options?: ChannelOptions): Client;
}

export async function useGrpcServer(options: Partial<GrpcServerOptions> = {}): Promise<ServerUnderTest> {
  const core = new FakeCore();
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  const refused: TelemetryEvents["request.refused"][] = [];
  const faults: TelemetryEvents["fault"][] = [];
  telemetry.on("request.refused", (event) => refused.push(event));
  telemetry.on("fault", (event) => faults.push(event));
  const server = await startGrpcServer({
    core,
    clock,
    telemetry,
    host: "127.0.0.1",
    port: 0,
    limits: { maxFrameBytes: 64 * 1_024 },
    ...options,
  });
  onTestFinished(async () => {
    const closed = server.close(0);
    clock.advance(0);
    await closed;
  });
  const address = `127.0.0.1:${server.port}`;
  return {
    server,
    core,
    clock,
    refused,
    faults,
    address,
    client: (channel = credentials.createInsecure(), channelOptions = {}) => {
      const client = new Client(address, channel, { "grpc.use_local_subchannel_pool": 1, ...channelOptions });
      onTestFinished(() => client.close());
      return client;
    },
  };
}

export function bearer(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

export interface CallOptions {
  readonly token?: string;
  /** Further request metadata. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The response of a unary method; rejects with grpc-js's error. */
export function callUnary<I, O>(
  client: Client,
  method: RpcMethod<I, O>,
  request: I | Uint8Array,
  { token, headers = {} }: CallOptions = {},
): Promise<O> {
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method;
    const metadata = bearer(token);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error, response) => {
      if (error !== null) reject(error);
      else if (response === undefined) reject(new Error("neither an error nor a response"));
      else resolve(response);
    });
  });
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    if (isServiceError(error)) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}

/** The client's end of a session stream; hostile ones send bytes instead of frames. */
export class ClientStream {
  readonly frames: ServerFrame[] = [];
  readonly call: ClientDuplexStream<ClientFrame | Uint8Array, ServerFrame>;
  /** How the stream ended. */
  readonly status: Promise<StatusObject>;

  constructor(client: Client, token?: string, reading = true) {
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(SessionService).connect;
    this.call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, bearer(token));
    this.status = new Promise((resolve) => this.call.on("status", resolve));
    this.call.on("error", () => {});
    if (reading) this.read();
  }

  read(): void {
    this.call.on("data", (frame: ServerFrame) => this.frames.push(frame));
  }

  send(frame: MessageInitShape<typeof ClientFrameSchema>): void {
    this.call.write(message(ClientFrameSchema, frame));
  }

  sendBytes(bytes: Uint8Array): void {
    this.call.write(bytes);
  }

  /** Resolves once `count` frames have come. */
  async received(count: number): Promise<readonly ServerFrame[]> {
    while (this.frames.length < count) await once(this.call, "data");
    return this.frames;
  }
}

function message<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return create(schema, init);
}
