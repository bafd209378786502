// A Redis of the tests' own.

import { join } from "node:path";
import { find, freePort, removeDirectory, ServiceProcess, temporaryDirectory } from "./process.js";
import type { RunningService } from "./service.js";

/** Starts redis-server without persistence. Undefined: it is not installed. */
export async function startRedis(): Promise<RunningService | undefined> {
  const command = await find("redis-server");
  if (command === undefined) return undefined;
  const directory = await temporaryDirectory("redis");
  const port = await freePort();
  const quiet = ["--loglevel", "warning", "--logfile", join(directory, "redis.log")];
  const service = await ServiceProcess.start({
    command,
    arguments: ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...quiet],
    directory,
    port,
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      await service.stop();
      await removeDirectory(directory);
    },
  };
}
