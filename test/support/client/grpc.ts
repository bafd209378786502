// The test client over gRPC: grpc-js for HTTP/2, protobufjs for the messages.

import { type ChannelCredentials, Client, credentials, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { Connection, type ConnectOptions, receiver } from "./connection.js";
import { contentOf, type Frame, Inbox, type JsonObject, kindOf } from "./inbox.js";
import { at, isArray, type Json, text } from "./json-value.js";
import type { Schema } from "./schema.js";
import type { StreamListener, StreamTarget } from "./stream.js";

const WINDOW_BYTES = 4 * 1024 * 1024;

export interface GrpcOptions extends ConnectOptions {
  readonly credentials?: ChannelCredentials;
}

function newClient(address: string, channel: ChannelCredentials = credentials.createInsecure()): Client {
  return new Client(address, channel, {
    "grpc-node.flow_control_window": WINDOW_BYTES,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_channelz": 0,
  });
}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

export function connectGrpc(schema: Schema, address: string, options: GrpcOptions = {}): Connection {
  const client = newClient(address, options.credentials);
  const inbox = new Inbox(options.label ?? "gRPC client");
  let goodbye: Frame = {};
  const stream = client.makeBidiStreamRequest<Buffer, Frame>(
    "/trunkline.v1.SessionService/Connect",
    (bytes) => bytes,
    (bytes) => schema.decode("trunkline.v1.ServerFrame", bytes),
    metadataOf(options.token),
  );
  const send = (frame: JsonObject): void => {
    stream.write(schema.encode("trunkline.v1.ClientFrame", frame));
  };
  const receive = receiver(inbox, options, send);
  stream.on("data", (frame: Frame) => {
    if (kindOf(frame) === "goodbye") goodbye = frame;
    receive(frame);
  });
  const ended = (reason: string): void => {
    inbox.end({ code: closeCode(schema, text(contentOf(goodbye).reason)), reason });
    client.close();
  };
  stream.on("error", (error) => ended(error.message));
  stream.on("end", () => ended("the server has ended the stream"));
  return new Connection(
    {
      send,
      sendRaw: (data) => void stream.write(typeof data === "string" ? Buffer.from(data) : Buffer.from(data)),
      close: () => stream.end(),
      destroy: () => {
        stream.cancel();
        client.close();
      },
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
    },
    inbox,
  );
}

/** The number of a CloseCode's name; 0 for none. */
function closeCode(schema: Schema, name: string): number {
  return name === "" ? 0 : schema.enumValue("trunkline.v1.CloseCode", name);
}

/** How a unary call ended: a response, or an error as far as the contract states it. */
export type CallOutcome = { readonly response: JsonObject } | { readonly error: CallError };

/** An error as far as the contract states it. */
export type CallError = {
  readonly reason: string;
  readonly status: string;
  readonly field: string;
  readonly message: string;
};

export function callGrpc(
  schema: Schema,
  address: string,
  token: string | undefined,
  service: string,
  method: string,
  request: JsonObject,
): Promise<CallOutcome> {
  const client = newClient(address);
  const types = schema.method(service, method);
  return new Promise<CallOutcome>((resolve, reject) => {
    client.makeUnaryRequest<JsonObject, JsonObject>(
      `/${service}/${method}`,
      (value) => schema.encode(`trunkline.v1.${types.request}`, value),
      (bytes) => schema.decode(`trunkline.v1.${types.response}`, bytes),
      request,
      metadataOf(token),
      { deadline: Date.now() + 10_000 },
      (error, response) => {
        if (error !== null) resolve({ error: errorOf(schema, error) });
        else if (response === undefined) reject(new Error("neither an error nor a response"));
        else resolve({ response });
      },
    );
  }).finally(() => client.close());
}

/** Opens a server stream. Returns what gives it up. */
export function followGrpc(
  address: string,
  { schema, token, service, method, request }: StreamTarget,
  listener: StreamListener,
): () => void {
  const client = newClient(address);
  const types = schema.method(service, method);
  const stream = client.makeServerStreamRequest<JsonObject, JsonObject>(
    `/${service}/${method}`,
    (value) => schema.encode(`trunkline.v1.${types.request}`, value),
    (bytes) => schema.decode(`trunkline.v1.${types.response}`, bytes),
    request,
    metadataOf(token),
  );
  const ended = (error: CallError | undefined): void => {
    listener.ended(error);
    client.close();
  };
  stream.on("data", (response: JsonObject) => listener.response(response));
  // What the status says comes as an error too, but not before the end.
  stream.on("error", () => {});
  stream.on("status", (ending) => ended(ending.code === status.OK ? undefined : errorOf(schema, ending)));
  return () => stream.cancel();
}

/** An error as Connect says it in JSON. */
export function connectErrorOf(schema: Schema, error: Json | undefined): CallError {
  const status = text(at(error, "code")).toUpperCase();
  return { ...errorDetail(schema, at(error, "details")), status, message: text(at(error, "message")) };
}

function errorOf(schema: Schema, error: StatusObject): CallError {
  const name = status[error.code] ?? String(error.code);
  const trailer = error.metadata?.get("grpc-status-details-bin")[0];
  if (!(trailer instanceof Buffer)) return { reason: "", status: name, field: "", message: error.details };
  const details = at(schema.decode("google.rpc.Status", trailer), "details");
  return { ...errorDetail(schema, details), status: name, message: error.details };
}

/** Reason and field from the first google.rpc.ErrorInfo in a list of Any. */
export function errorDetail(schema: Schema, details: Json | undefined): { reason: string; field: string } {
  for (const detail of isArray(details) ? details : []) {
    // protobufjs names an Any's type `type_url`, Connect's JSON `type`.
    const type = text(at(detail, "type_url") ?? at(detail, "typeUrl") ?? at(detail, "type"));
    if (!type.endsWith("google.rpc.ErrorInfo")) continue;
    const info = schema.decode("google.rpc.ErrorInfo", Buffer.from(text(at(detail, "value")), "base64"));
    return { reason: text(info.reason), field: text(at(info, "metadata", "field")) };
  }
  return { reason: "", field: "" };
}
