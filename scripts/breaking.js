// Compares the .proto files with the last published ones: the newest commit of main, or, when that is the commit
// checked out and nothing is changed, the commit before it. Says which, and passes when there is nothing to compare.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const OURS = "proto/trunkline";

/** Output of a git command, or undefined when it fails (an unknown ref, a shallow clone's missing parent). */
function git(...args) {
  const result = spawnSync("git", args, { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

const commit = (ref) => git("rev-parse", "--verify", "--quiet", `${ref}^{commit}`);

function baseline() {
  const head = commit("HEAD");
  if (head === undefined) return undefined;
  const main = commit("origin/main") ?? commit("main");
  if (main !== undefined && main !== head) return { id: git("merge-base", main, head) ?? main, name: "main" };
  if (git("status", "--porcelain", "--", "proto")) return { id: head, name: "the last commit" };
  const parent = commit("HEAD^");
  return parent === undefined ? undefined : { id: parent, name: "the commit before this one" };
}

const against = baseline();
if (against === undefined) {
  console.log("breaking: no earlier commit to compare with.");
} else if (!git("ls-tree", "-r", "--name-only", against.id, "--", OURS)) {
  console.log(`breaking: ${against.name} (${against.id.slice(0, 9)}) has no ${OURS} yet, nothing to compare with.`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "trunkline-breaking-"));
  try {
    const archive = execFileSync("git", ["archive", against.id, "proto", "buf.yaml"], { maxBuffer: 64 * 1024 * 1024 });
    execFileSync("tar", ["-x", "-C", folder], { input: archive });
    const status = spawnSync("buf", ["breaking", "--against", folder], { stdio: "inherit" }).status ?? 1;
    const verdict = status === 0 ? "compatible with" : "NOT compatible with";
    console.log(`breaking: ${verdict} ${against.name} (${against.id.slice(0, 9)}).`);
    process.exitCode = status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
