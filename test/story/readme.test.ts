// What the README says is so: its commands, its table of what is refused, its snippet, its paths.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { DeliveryService } from "../../src/gen/trunkline/v1/delivery_pb.js";
import { PresenceService } from "../../src/gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../../src/gen/trunkline/v1/room_pb.js";
import { ClientFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { callGrpc } from "../support/client/grpc.js";
import { contentOf, type JsonObject, kindOf, Schema, TestClient } from "../support/client/index.js";
import { useServer } from "../support/server.js";
import { signToken } from "../support/token.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");

const server = useServer();
const schema = new Schema();

const token = (): string => signToken(server.issuer, { user: "ann", grants: ["service"] });

/** What the table of refusals names in the row of `where`. */
function refusedAt(where: string): readonly string[] {
  const table = /<!-- unsupported: begin -->([\s\S]*)<!-- unsupported: end -->/.exec(README)?.[1] ?? "";
  const row = table.split("\n").find((line) => line.split("|")[2]?.includes(where)) ?? "";
  return namesIn(row.split("|")[1] ?? "");
}

function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
}

function blocks(language: string): readonly string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, code = ""]) => code,
  );
}

async function reasonOf(service: string, method: string, request: JsonObject): Promise<string> {
  const outcome = await callGrpc(schema, server.endpoints.grpc, token(), `trunkline.v1.${service}`, method, request);
  return "error" in outcome ? outcome.error.reason : "";
}

describe("what the README says is refused is refused, and nothing else", () => {
  test.for([
    ["RoomService", RoomService],
    ["DeliveryService", DeliveryService],
    ["PresenceService", PresenceService],
  ] as const)("of %s", async ([name, { methods }]) => {
    const refused: string[] = [];
    for (const method of methods) {
      if ((await reasonOf(name, method.name, {})) === "UNSUPPORTED") refused.push(method.name);
    }
    expect(refused.sort()).toEqual([...refusedAt(name)].sort());
  });

  test("of the frames of a session", async () => {
    const client = new TestClient("grpc", server.endpoints, schema);
    onTestFinished(() => client.destroy());
    const connection = await client.connect();
    await connection.request({ hello: { token: token(), device: { deviceId: "reader" }, attempt: 1, protocol: 1 } });
    const refused: string[] = [];
    for (const { name, localName, oneof } of ClientFrameSchema.fields) {
      // A pong is never answered; the hello was said.
      if (oneof === undefined || name === "pong" || name === "hello") continue;
      const reply = await connection.request({ [localName]: {} });
      if (kindOf(reply) === "error" && contentOf(reply).code === "ERROR_CODE_UNSUPPORTED") refused.push(name);
    }
    expect(refused.sort()).toEqual([...refusedAt("frames")].sort());
  });
});

test("the shell lines of the tour are those of the example that is tested", () => {
  const example = readFileSync(join(ROOT, "examples/grpcurl.sh"), "utf8").split("\n");
  const tour = blocks("sh").find((block) => block.includes("grpcurl")) ?? "";
  const [, after = ""] = tour.split("\n\n");
  const lines = after.split("\n").filter((line) => line !== "");
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.filter((line) => !example.includes(line))).toEqual([]);
});

test("the Python lines of the tour are those of its README", () => {
  const described = readFileSync(join(ROOT, "examples/python-client/README.md"), "utf8");
  const tour = blocks("sh").find((block) => block.includes("grpc_tools")) ?? "";
  const lines = tour.split("\n").filter((line) => line !== "" && !line.includes("TRUNKLINE_TOKEN"));
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) expect(described).toContain(line);
});

test("the snippet starts a backbone in its own process, and SIGTERM ends it", async () => {
  const [snippet = ""] = blocks("js");
  const home = mkdtempSync(join(tmpdir(), "trunkline-readme-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, "node_modules"));
  symlinkSync(ROOT, join(home, "node_modules/trunkline"), "dir");
  const anyPort = snippet.replaceAll(/port: \d+/g, "port: 0");
  writeFileSync(join(home, "main.mjs"), `${anyPort}\nconsole.log(backbone.bridgeAddress);\n`);
  const child = spawn(process.execPath, ["main.mjs"], { cwd: home, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const [address] = await once(createInterface({ input: child.stdout }), "line");
  const list = (bearer: string) =>
    fetch(`http://${address}/trunkline.v1.RoomService/ListRooms`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: "{}",
    });
  expect((await list("let-me-in")).status).toBe(200);
  expect((await list("something else")).status).toBe(401);
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});

test("every file and folder it names is there", () => {
  const linked = [...README.matchAll(/\]\(([^)#]+)\)/g)].map(([, path = ""]) => path);
  const named = namesIn(README.replaceAll(/^```[\s\S]*?^```$/gm, "")).filter((name) =>
    /^(\.ci|src|bridge|test|bench|examples|docs|proto)\/[\w./-]*$/.test(name),
  );
  const paths = [...linked, ...named].filter((path) => !path.startsWith("http"));
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
