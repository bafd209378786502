// The test client: the protocol written a second time, from the .proto files alone.

import { callConnectJson } from "./connect-json.js";
import type { Connection, ConnectOptions, Endpoints, Transport } from "./connection.js";
import { connectEvents } from "./events.js";
import { type CallOutcome, callGrpc, connectGrpc } from "./grpc.js";
import type { JsonObject } from "./json-value.js";
import { Schema } from "./schema.js";
import { connectStream, grpcStream, type ResponseStream } from "./stream.js";
import { connectWebSocket } from "./websocket.js";

export { Connection, type ConnectOptions, type Endpoints, TRANSPORTS, type Transport } from "./connection.js";
export { connectEvents } from "./events.js";
export type { CallOutcome } from "./grpc.js";
export { contentOf, type Ending, type Frame, kindOf, replyTo } from "./inbox.js";
export { at, isArray, isObject, type Json, type JsonObject, number, text } from "./json-value.js";
export { Schema } from "./schema.js";
export type { ResponseStream } from "./stream.js";
export { connectWebSocket } from "./websocket.js";

/** Connections and calls over one transport to one server. */
export class TestClient {
  readonly transport: Transport;
  readonly endpoints: Endpoints;
  readonly schema: Schema;
  readonly #open = new Set<Connection>();
  readonly #streams = new Set<ResponseStream>();

  constructor(transport: Transport, endpoints: Endpoints, schema = new Schema()) {
    this.transport = transport;
    this.endpoints = endpoints;
    this.schema = schema;
  }

  async connect(options: ConnectOptions = {}): Promise<Connection> {
    const connection = await this.#connect(options);
    this.#open.add(connection);
    return connection;
  }

  /** A unary call, of RoomService unless stated: gRPC, or Connect's JSON where the transport is a browser's. */
  call(token: string | undefined, method: string, request: JsonObject, service = "RoomService"): Promise<CallOutcome> {
    const name = `trunkline.v1.${service}`;
    return this.transport === "grpc"
      ? callGrpc(this.schema, this.endpoints.grpc, token, name, method, request)
      : callConnectJson(this.schema, this.endpoints.http, token, name, method, request);
  }

  /** A server stream: gRPC, or Connect's JSON where the transport is a browser's. */
  follow(token: string | undefined, service: string, method: string, request: JsonObject): ResponseStream {
    const target = { schema: this.schema, token, service: `trunkline.v1.${service}`, method, request };
    const stream =
      this.transport === "grpc" ? grpcStream(this.endpoints.grpc, target) : connectStream(this.endpoints.http, target);
    this.#streams.add(stream);
    return stream;
  }

  /** Cuts every connection that was made. */
  destroy(): void {
    for (const stream of this.#streams) stream.cancel();
    this.#streams.clear();
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  #connect(options: ConnectOptions): Connection | Promise<Connection> {
    if (this.transport === "grpc") return connectGrpc(this.schema, this.endpoints.grpc, options);
    if (this.transport === "events") {
      return connectEvents(this.endpoints.http, { ...options, framesUrl: this.endpoints.frames });
    }
    const encoding = this.transport === "websocket-binary" ? "binary" : "json";
    return connectWebSocket(this.schema, this.endpoints.ws, encoding, options);
  }
}
