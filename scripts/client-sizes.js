// Says what the browser's client weighs as applications ship it, bundled and minified: `node scripts/client-sizes.js [--check] [--parts] [--most KIB] [--json]`.
// Where it is heavier than promised, or than `--most`, it says so, and with `--check` fails; then, and with `--parts`, it lists what the client consists
// of. With `--json`: as numbers, with the page of the demo, and nothing else. Reads what the build has written.
import { readdir, readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build, minify } from "vite";

const KIB = 1_024;
/** Of the binary client with all it does, gzipped, in KiB. */
const PROMISED = "30";

const client = resolve(dirname(dirname(fileURLToPath(import.meta.url))), "dist/bridge/client");
const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    parts: { type: "boolean", default: false },
    most: { type: "string", default: PROMISED },
    json: { type: "boolean", default: false },
  },
});
const most = Number(values.most) * KIB;

const kib = (bytes) => (bytes / KIB).toFixed(1).padStart(6);
const gzipped = (code) => gzipSync(code, { level: 9 }).length;

/** Everything that it exports, as one file. */
async function bundle(entry) {
  const { output } = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      // The first that know `Promise.withResolvers`.
      target: ["chrome119", "firefox121", "safari17.4"],
      rolldownOptions: { input: resolve(client, entry), preserveEntrySignatures: "strict" },
    },
  }).then((built) => (Array.isArray(built) ? built[0] : built));
  const [chunk, ...others] = output.filter(({ type }) => type === "chunk");
  if (chunk === undefined || others.length > 0) throw new Error(`${entry} is not one file`);
  if (chunk.imports.length > 0) throw new Error(`${entry} needs ${chunk.imports.join(", ")}`);
  return chunk;
}

/** What each file adds, minified by itself: in all a little more than the whole. */
async function partsOf(chunk) {
  const parts = await Promise.all(
    Object.entries(chunk.modules).map(async ([file, { code }]) => {
      const small = (await minify(file, code ?? "", { module: true, compress: { unused: false }, mangle: true })).code;
      return { name: relative(client, file), bytes: small.length, gzip: gzipped(small) };
    }),
  );
  return parts.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
}

/** The scripts and styles of the demo's page, which has the client in it. */
async function demo() {
  const folder = resolve(client, "../demo/assets");
  const names = (await readdir(folder)).filter((name) => /\.(js|css)$/.test(name));
  const files = await Promise.all(names.map((name) => readFile(resolve(folder, name))));
  return {
    name: "demo",
    bytes: files.reduce((sum, file) => sum + file.length, 0),
    gzip: files.reduce((sum, file) => sum + gzipped(file), 0),
  };
}

const sizes = [];
for (const [name, entry] of [
  ["trunkline/client", "index.js"],
  ["trunkline/client/json", "json.js"],
]) {
  const chunk = await bundle(entry);
  sizes.push({ name, chunk, bytes: Buffer.byteLength(chunk.code), gzip: gzipped(chunk.code) });
}
if (values.json) {
  const numbers = sizes.map(({ name, bytes, gzip }) => ({ name, bytes, gzip }));
  console.log(JSON.stringify([...numbers, await demo()]));
  process.exit();
}
for (const { name, bytes, gzip } of sizes) console.log(`${name.padEnd(22)} ${kib(bytes)} KiB │ gzip: ${kib(gzip)} KiB`);

const [binary, json] = sizes;
const faults = [
  ...(binary.gzip > most
    ? [`trunkline/client is ${Math.ceil(binary.gzip - most)} bytes heavier than ${values.most} KiB gzipped`]
    : []),
  ...(json.gzip >= binary.gzip ? ["trunkline/client/json is not smaller than trunkline/client"] : []),
];
if (values.parts || faults.length > 0) {
  for (const { name, bytes, gzip } of await partsOf(binary.chunk))
    console.log(`  ${name.padEnd(28)} ${kib(bytes)} KiB │ gzip: ${kib(gzip)} KiB`);
}
for (const fault of faults) console.error(fault);
if (values.check && faults.length > 0) process.exitCode = 1;
