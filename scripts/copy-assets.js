// Copies what the compiler leaves behind (Lua scripts, the demo's pages) beside the compiled files.
import { cpSync, existsSync, statSync } from "node:fs";
import { basename, extname } from "node:path";

const COMPILED = new Set([".ts", ".tsx"]);
const isAsset = (path) =>
  statSync(path).isDirectory() || !(COMPILED.has(extname(path)) || basename(path) === "tsconfig.json");

for (const folder of ["src/adapters", "bridge/demo"]) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true, filter: isAsset });
}
