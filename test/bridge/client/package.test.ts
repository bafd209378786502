// The client as the package has it: what an application gets that installs it.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const TSC = resolve(REPOSITORY, "node_modules/.bin/tsc");
const ENTRIES = ["trunkline/client", "trunkline/client/json"];

let application: string;

/** Unpacked where an installation would put it, with none of the packages that the server stands on. */
beforeAll(async () => {
  application = await mkdtemp(join(tmpdir(), "trunkline-package-"));
  await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", application], { cwd: REPOSITORY });
  const packed = (await readdir(application)).find((name) => name.endsWith(".tgz")) ?? "";
  await run("tar", ["-xzf", packed], { cwd: application });
  await mkdir(join(application, "node_modules"));
  await rename(join(application, "package"), join(application, "node_modules/trunkline"));
  await writeFile(join(application, "package.json"), JSON.stringify({ private: true, type: "module" }));
}, 60_000);

afterAll(() => rm(application, { recursive: true, force: true }));

test.each(ENTRIES)("%s is imported by Node without any other package", async (entry) => {
  const program = `
    import { createClient } from "${entry}";
    const client = createClient({ url: "http://127.0.0.1:1", token: () => "t", autoConnect: false });
    console.log(client.state.status);`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: application });
  expect(stdout).toBe("idle\n");
});

test.each(ENTRIES)("%s names no module but its own", async (entry) => {
  const folder = join(application, "node_modules/trunkline/dist/bridge/client");
  const waiting = [join(folder, entry.endsWith("json") ? "json.js" : "index.js")];
  const seen = new Set<string>();
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, name = ""] of (await readFile(file, "utf8")).matchAll(
      /^(?:import|export)\b[^;=]*? from "([^"]+)";$/gm,
    )) {
      const imported = resolve(file, "..", name);
      expect(name.startsWith(".") && imported.startsWith(folder), `${file} imports ${name}`).toBe(true);
      waiting.push(imported);
    }
  }
  expect(seen.size).toBeGreaterThan(10);
});

test.each([
  ["a bundler", { module: "esnext", moduleResolution: "bundler" }],
  ["Node", { module: "nodenext", moduleResolution: "nodenext" }],
])("a page's program is checked against its types as %s finds them", async (_name, resolution) => {
  const compilerOptions = {
    ...resolution,
    target: "es2024",
    lib: ["es2024", "dom"],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
  };
  await writeFile(join(application, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["page.ts"] }));
  const page = (wrong: string) => `
    import { type ConnectionState, createClient, type Published, type Sending } from "trunkline/client";
    import { createClient as createJsonClient } from "trunkline/client/json";
    const client = createClient({ url: "/", token: async () => (await fetch("/token")).text(), tabs: "own" });
    const off: () => void = client.on("state", (state: ConnectionState) => { document.title = state.status${wrong}; });
    const sending: Sending<Published> = client.room("tea").send("hello");
    const index: number | undefined = (await sending).messageIndex;
    const caught: Published | undefined = await sending.catch(() => undefined);
    const ended: Published = await sending.finally(() => { document.title = caught?.messageId ?? ""; });
    ended satisfies Published;
    for await (const event of client.room("tea").events()) console.log(event.messageCreated?.body?.text, index);
    createJsonClient({ url: ["/"], token: () => undefined, fallback: false }).close();
    off();`;
  await writeFile(join(application, "page.ts"), page(""));
  await run(TSC, ["-p", "."], { cwd: application });
  await writeFile(join(application, "page.ts"), page(".wrong"));
  await expect(run(TSC, ["-p", "."], { cwd: application })).rejects.toMatchObject({
    stdout: expect.stringContaining("'wrong' does not exist"),
  });
});

test("the check of its size says what each entry weighs, and fails where that is more than it may be", async () => {
  const sizes = (...args: string[]) =>
    run(process.execPath, ["scripts/client-sizes.js", "--check", ...args], { cwd: REPOSITORY });
  const { stdout } = await sizes();
  expect(stdout).toMatch(/^trunkline\/client +[\d.]+ KiB │ gzip: +[\d.]+ KiB\ntrunkline\/client\/json +/);
  await expect(sizes("--most", "5")).rejects.toMatchObject({
    stdout: expect.stringContaining("session/session.js"),
    stderr: expect.stringMatching(/heavier than 5 KiB/),
  });
});
