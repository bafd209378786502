// What health checks are told.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthListRequestSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../../src/gen/grpc/health/v1/health_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { bearer, callUnary, failure, useGrpcServer } from "./use-grpc-server.js";

const { check, list, watch } = serviceDefinition(Health);
const about = (service: string) => create(HealthCheckRequestSchema, { service });

it("says that nothing serves until it is told, then that each service does", async () => {
  const { client, server } = await useGrpcServer();
  const connection = client();
  for (const service of [
    "",
    "trunkline.v1.SessionService",
    "trunkline.v1.RoomService",
    "trunkline.v1.PresenceService",
  ]) {
    expect((await callUnary(connection, check, about(service))).status).toBe(Serving.NOT_SERVING);
  }
  server.setServing(true);
  const { statuses } = await callUnary(connection, list, create(HealthListRequestSchema));
  expect(Object.entries(statuses).map(([name, value]) => [name, value.status])).toEqual([
    ["", Serving.SERVING],
    ["trunkline.v1.SessionService", Serving.SERVING],
    ["trunkline.v1.RoomService", Serving.SERVING],
    ["trunkline.v1.DeliveryService", Serving.SERVING],
    ["trunkline.v1.PresenceService", Serving.SERVING],
  ]);
});

it("does not know other services", async () => {
  const { client } = await useGrpcServer();
  expect((await failure(callUnary(client(), check, about("nothing")))).code).toBe(status.NOT_FOUND);
});

it("tells watchers of each change, and ends their streams when the server closes", async () => {
  const { client, server } = await useGrpcServer();
  const { path, requestSerialize, responseDeserialize } = watch;
  const start = (service: string) => {
    const seen: Serving[] = [];
    const metadata = bearer(undefined);
    const stream = client().makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      about(service),
      metadata,
    );
    stream.on("error", () => {});
    const changed = async (count: number) => {
      while (seen.length < count) await new Promise((resolve) => stream.once("data", resolve));
      return seen;
    };
    stream.on("data", (response: HealthCheckResponse) => seen.push(response.status));
    return { seen, changed, status: new Promise((resolve) => stream.on("status", resolve)) };
  };
  const known = start("trunkline.v1.RoomService");
  const unknown = start("nothing");
  await Promise.all([known.changed(1), unknown.changed(1)]);
  server.setServing(true);
  await known.changed(2);
  await server.close(10_000);
  expect(await known.status).toMatchObject({ code: status.OK });
  expect(known.seen).toEqual([Serving.NOT_SERVING, Serving.SERVING, Serving.NOT_SERVING]);
  expect(unknown.seen).toEqual([Serving.SERVICE_UNKNOWN]);
});
