// The package as somebody else's TypeScript sees it.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

const PROGRAM = `
import { startBackbone, type Caller, type RoomRequest, type TokenVerifier } from "trunkline";
import { create, CreateRoomRequestSchema, GetRoomRequestSchema, RoomKind } from "trunkline/proto";

const ann: Caller = {
  identity: { tenantId: "acme", userId: "ann", displayName: "Ann", grants: new Set(), expiresAtMs: undefined, tokenId: "" },
  deviceId: "",
};
const verifier: TokenVerifier = {
  available: true,
  verify: () => Promise.resolve(ann.identity),
  onRevoked: () => () => {},
  close: () => Promise.resolve(),
};
const backbone = await startBackbone({
  dataDirectory: process.argv[2] ?? "",
  auth: { verifier },
  grpc: { port: 0 },
  bridge: { port: 0 },
});
const requests: RoomRequest[] = [
  { case: "createRoom", value: create(CreateRoomRequestSchema, { roomId: "news", key: "k1", kind: RoomKind.CHANNEL }) },
  { case: "getRoom", value: create(GetRoomRequestSchema, { roomId: "news" }) },
];
for (const request of requests) {
  const answer = await backbone.core.rooms.call(ann, request);
  if (answer.case === "createRoom" || answer.case === "getRoom") console.log(answer.value.room?.roomId, answer.value.room?.kind);
}
await backbone.stop({ spreadMs: 0 });
`;

test("an embedder builds requests for rooms with trunkline/proto, and it type-checks and runs", async () => {
  if (!existsSync(join(ROOT, "dist/src/proto.js"))) throw new Error("dist is missing: npm run build");
  const directory = mkdtempSync(join(tmpdir(), "trunkline-embedder-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string, content: string) => writeFileSync(join(directory, name), content);
  mkdirSync(join(directory, "node_modules/@types"), { recursive: true });
  symlinkSync(ROOT, join(directory, "node_modules/trunkline"), "dir");
  symlinkSync(join(ROOT, "node_modules/@types/node"), join(directory, "node_modules/@types/node"), "dir");
  file("package.json", '{"type": "module"}');
  const compilerOptions = { module: "nodenext", target: "es2023", strict: true, types: ["node"], outDir: "out" };
  file("tsconfig.json", JSON.stringify({ compilerOptions, files: ["main.ts"] }));
  file("main.ts", PROGRAM);
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [tsc, "-p", directory]).catch(({ stdout }: { readonly stdout: string }) => {
    throw new Error(stdout);
  });
  const { stdout } = await run(process.execPath, [join(directory, "out/main.js"), join(directory, "data")]);
  expect(stdout).toBe("news 3\nnews 3\n");
}, 60_000);
