// What tests use as MongoDB where no real one is named: a stand-in that speaks its protocol. It shows behaviour, never speed.

import { join } from "node:path";
import { jars } from "./jars.js";
import { find, freePort, removeDirectory, ServiceProcess, temporaryDirectory } from "./process.js";
import { repositoryPath } from "./repository.js";
import type { RunningService } from "./service.js";

const MAIN = repositoryPath("test/support/services/mongo/MongoStandIn.java");

export interface RunningMongo extends RunningService {
  /** It stands still, and goes on. It holds everything in memory: it cannot be killed and come back. */
  pause(): void;
  resume(): void;
}

/** Files of the stand-in's certificate, for 127.0.0.1, and its key, of an elliptic curve; PEM. */
export interface MongoTls {
  readonly cert: string;
  readonly key: string;
}

/** Starts the stand-in, over TLS where it has a certificate. Undefined: Java or Maven is not installed. */
export async function startMongo(tls?: MongoTls): Promise<RunningMongo | undefined> {
  const command = await find("java");
  if (command === undefined || (await find("mvn")) === undefined) return undefined;
  const library = await jars("mongo");
  const directory = await temporaryDirectory("mongo");
  const port = await freePort();
  const secured = tls === undefined ? [] : ["--tls", tls.cert, tls.key];
  const service = await ServiceProcess.start({
    command,
    arguments: ["-Xmx512m", "-cp", join(library, "*"), MAIN, `${port}`, ...secured],
    directory,
    port,
  });
  return {
    url: `mongodb://127.0.0.1:${port}`,
    pid: service.pid,
    pause: () => service.pause(),
    resume: () => service.resume(),
    stop: async () => {
      await service.stop("SIGKILL");
      await removeDirectory(directory);
    },
  };
}
