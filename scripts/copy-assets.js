// Copies what the compiler leaves behind (Lua scripts) beside the compiled files.
import { cpSync, existsSync, statSync } from "node:fs";
import { extname } from "node:path";

const isAsset = (path) => statSync(path).isDirectory() || extname(path) !== ".ts";

for (const folder of ["src/adapters"]) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true, filter: isAsset });
}
