// Python's view of the contract: stubs generated from the .proto files when a test wants them.

import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const FILES = ["session", "room", "message", "error", "delivery"].map((name) => `trunkline/v1/${name}.proto`);

export const run = promisify(execFile);

/** Writes the stubs to a new folder and returns it. */
export async function pythonStubs(python: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-stubs-"));
  const outputs = [`--python_out=${folder}`, `--grpc_python_out=${folder}`];
  await run(python, ["-m", "grpc_tools.protoc", "-I", PROTO, ...outputs, ...FILES]);
  return folder;
}
