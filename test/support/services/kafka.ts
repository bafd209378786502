// A Kafka of the tests' own: one broker that is its own controller.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jars } from "./jars.js";
import { find, freePort, removeDirectory, run, ServiceProcess, temporaryDirectory } from "./process.js";
import type { RunningService } from "./service.js";

/** Starts a broker. Undefined: Java or Maven is not installed. */
export async function startKafka(): Promise<RunningService | undefined> {
  const command = await find("java");
  if (command === undefined || (await find("mvn")) === undefined) return undefined;
  const library = join(await jars("kafka"), "*");
  const directory = await temporaryDirectory("kafka");
  const [port, controllerPort] = [await freePort(), await freePort()];
  const properties = join(directory, "server.properties");
  await writeFile(properties, settings(directory, port, controllerPort));
  await writeFile(join(directory, "log4j2.properties"), QUIET);
  const logging = [`-Dlog4j2.configurationFile=${join(directory, "log4j2.properties")}`];
  const tool = ["-cp", library, ...logging, "kafka.tools.StorageTool"];
  const { stdout } = await run(command, [...tool, "random-uuid"], { cwd: directory });
  await run(command, [...tool, "format", "-t", stdout.trim(), "-c", properties], { cwd: directory });
  const service = await ServiceProcess.start({
    command,
    arguments: ["-Xmx512m", "-cp", library, ...logging, "kafka.Kafka", properties],
    directory,
    port,
  });
  return {
    url: `127.0.0.1:${port}`,
    stop: async () => {
      // What it would write down before it ends nobody reads.
      await service.stop("SIGKILL");
      await removeDirectory(directory);
    },
  };
}

const QUIET = "rootLogger.level = OFF\n";

function settings(directory: string, port: number, controllerPort: number): string {
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    `log.dirs=${join(directory, "log")}`,
    "auto.create.topics.enable=false",
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "",
  ].join("\n");
}
