import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Some suites start whole nodes and clients: more workers than this only make them wait for each other.
    maxWorkers: 2,
    pool: "forks",
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "bridge/**/*.ts"],
      exclude: ["src/gen/**", "bridge/demo/**", "**/*.d.ts"],
      reporter: ["text-summary"],
    },
  },
});
