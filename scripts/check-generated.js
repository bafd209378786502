// Fails when src/gen and bridge/client/gen are not exactly what the .proto files generate.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const run = (command, args) => spawnSync(command, args, { stdio: "inherit" }).status ?? 1;

const fresh = mkdtempSync(join(tmpdir(), "trunkline-gen-"));
try {
  let status = run("buf", ["generate", "--output", fresh]) || run("node", ["scripts/generate-client-schema.js", fresh]);
  for (const folder of ["src/gen", "bridge/client/gen"]) {
    if (status !== 0) break;
    status = run("git", ["--no-pager", "diff", "--no-index", "--exit-code", "--stat", folder, join(fresh, folder)]);
    console.log(status === 0 ? `${folder} is what proto/ generates.` : `${folder} is stale: run \`npm run generate\`.`);
  }
  process.exitCode = status;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
