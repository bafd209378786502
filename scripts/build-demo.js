// Builds the demo's page: `node scripts/build-demo.js [DIRECTORY]`, by default where the server looks for it. Prints what each file weighs.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const outDir = resolve(process.argv[2] ?? resolve(repository, "dist/bridge/demo"));

await build({
  configFile: false,
  root: resolve(repository, "bridge/demo"),
  // It may be served below a path.
  base: "./",
  publicDir: false,
  build: {
    outDir,
    emptyOutDir: true,
    // The first that know `light-dark()` and `Promise.withResolvers`.
    target: ["chrome123", "firefox121", "safari17.5"],
    // The policy that the page is served with allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: true,
  },
});
