// Reflection, asked directly and by the tools that people use.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import {
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { GetRoomResponseSchema } from "../../../src/gen/trunkline/v1/room_pb.js";
import { reflectionAlphaDefinition, reflectionDefinition } from "../../../src/transport/grpc/reflection.js";
import { useGrpcServer } from "./use-grpc-server.js";

const run = promisify(execFile);
const GRPCURL = process.env.TRUNKLINE_TEST_GRPCURL ?? "";
const BUF = "node_modules/.bin/buf";

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "trunkline.v1.DeliveryService",
  "trunkline.v1.PresenceService",
  "trunkline.v1.RoomService",
  "trunkline.v1.SessionService",
];

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

async function ask(definition: typeof reflectionDefinition | typeof reflectionAlphaDefinition, questions: Question[]) {
  const { client } = await useGrpcServer();
  const { path, requestSerialize, responseDeserialize } = definition.serverReflectionInfo;
  const call = client().makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const answers: ServerReflectionResponse[] = [];
  call.on("data", (answer: ServerReflectionResponse) => answers.push(answer));
  const ended = new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
  for (const messageRequest of questions) call.write(create(ServerReflectionRequestSchema, { messageRequest }));
  call.end();
  await ended;
  return answers.map((answer) => answer.messageResponse);
}

describe.each([
  ["v1", reflectionDefinition],
  ["v1alpha", reflectionAlphaDefinition],
])("reflection %s", (_, definition) => {
  it("lists every service", async () => {
    const [answer] = await ask(definition, [{ case: "listServices", value: "" }]);
    if (answer?.case !== "listServicesResponse") throw new Error("no list");
    expect(answer.value.service.map(({ name }) => name)).toEqual(SERVICES);
  });

  it("answers a symbol, and a file, with the file and all it imports", async () => {
    const answers = await ask(definition, [
      { case: "fileContainingSymbol", value: "trunkline.v1.RoomService" },
      { case: "fileContainingSymbol", value: "trunkline.v1.RoomService.GetRoom" },
      { case: "fileByFilename", value: "trunkline/v1/room.proto" },
    ]);
    for (const answer of answers) {
      if (answer.case !== "fileDescriptorResponse") throw new Error("no files");
      const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      const names = files.map(({ name }) => name);
      expect(names).toContain("trunkline/v1/room.proto");
      for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it("says what it does not know, and stays", async () => {
    const answers = await ask(definition, [
      { case: "fileContainingSymbol", value: "no.such.Thing" },
      { case: "fileByFilename", value: "no.proto" },
      { case: "fileContainingExtension", value: { containingType: "trunkline.v1.Room", extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: "no.such.Thing" },
      { case: "allExtensionNumbersOfType", value: "trunkline.v1.Room" },
      { case: undefined },
    ]);
    expect(answers.map((answer) => answer.case)).toEqual([
      "errorResponse",
      "errorResponse",
      "errorResponse",
      "errorResponse",
      "allExtensionNumbersResponse",
      "errorResponse",
    ]);
  });
});

it("can be left out", async () => {
  const { client } = await useGrpcServer({ reflection: false });
  const { path, requestSerialize, responseDeserialize } = reflectionDefinition.serverReflectionInfo;
  const call = client().makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  await expect(new Promise((_, reject) => call.on("error", reject).resume())).rejects.toMatchObject({ code: 12 });
});

async function useRoom() {
  const under = await useGrpcServer();
  under.server.setServing(true);
  under.core.answer = async ({ value }) => ({
    case: "getRoom",
    value: create(GetRoomResponseSchema, { room: { roomId: "roomId" in value ? value.roomId : "" } }),
  });
  return under;
}

// Without grpcurl (TRUNKLINE_TEST_GRPCURL) this is skipped, except in CI.
describe.skipIf(!existsSync(GRPCURL) && process.env.CI !== "true")("grpcurl (TRUNKLINE_TEST_GRPCURL)", () => {
  it("lists, describes and calls without files", async () => {
    const { address } = await useRoom();
    const list = await run(GRPCURL, ["-plaintext", address, "list"]);
    expect(list.stdout.trim().split("\n").sort()).toEqual(SERVICES);
    const described = await run(GRPCURL, ["-plaintext", address, "describe", "trunkline.v1.SessionService"]);
    expect(described.stdout).toContain("rpc Connect ( stream .trunkline.v1.ClientFrame )");
    const call = ["-plaintext", "-H", "authorization: Bearer good-ann", "-d", '{"room_id":"lobby"}'];
    const { stdout } = await run(GRPCURL, [...call, address, "trunkline.v1.RoomService/GetRoom"]);
    expect(JSON.parse(stdout)).toMatchObject({ room: { roomId: "lobby" } });
  });

  it("shows the details of a refusal", async () => {
    const { address } = await useRoom();
    const call = ["-plaintext", "-d", "{}", address, "trunkline.v1.RoomService/GetRoom"];
    await expect(run(GRPCURL, call)).rejects.toMatchObject({
      stderr: expect.stringMatching(/Code: Unauthenticated[\s\S]*"reason": ?"UNAUTHENTICATED"/),
    });
  });
});

describe("buf curl", () => {
  const curl = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];

  it("calls without files", async () => {
    const { address } = await useRoom();
    const call = ["-H", "authorization: Bearer good-ann", "-d", '{"room_id":"lobby"}'];
    const { stdout } = await run(BUF, [...curl, ...call, `http://${address}/trunkline.v1.RoomService/GetRoom`]);
    expect(JSON.parse(stdout)).toMatchObject({ room: { roomId: "lobby" } });
    const health = await run(BUF, [...curl, "-d", "{}", `http://${address}/grpc.health.v1.Health/Check`]);
    expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
  });
});
