import { defineConfig } from "vitest/config";

/** Suites that need the services a cluster stands on: these are started only where such a suite runs. */
const CLUSTER = ["test/adapters/cluster/**/*.test.ts", "test/cluster/**/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "alone", include: ["test/**/*.test.ts"], exclude: CLUSTER } },
      {
        extends: true,
        test: { name: "cluster", include: CLUSTER, globalSetup: ["test/support/services/setup.ts"] },
      },
    ],
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
