// Fails when src/gen is not exactly what the .proto files generate.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const run = (command, args) => spawnSync(command, args, { stdio: "inherit" }).status ?? 1;

const fresh = mkdtempSync(join(tmpdir(), "trunkline-gen-"));
try {
  let status = run("buf", ["generate", "--output", fresh]);
  if (status === 0) {
    status = run("git", [
      "--no-pager",
      "diff",
      "--no-index",
      "--exit-code",
      "--stat",
      "src/gen",
      join(fresh, "src/gen"),
    ]);
    console.log(status === 0 ? "src/gen is what proto/ generates." : "src/gen is stale: run `npm run generate`.");
  }
  process.exitCode = status;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
