// A Kafka of the tests' own: one broker that is its own controller.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jars } from "./jars.js";
import { find, lastingPort, removeDirectory, run, ServiceProcess, temporaryDirectory } from "./process.js";
import type { RunningService } from "./service.js";

/** A second listener, over TLS, for whoever proves who they are: by SASL PLAIN, or by SCRAM. */
export interface SecuredListener {
  /** PEM text. */
  readonly certificate: string;
  /** PEM text, PKCS #8. */
  readonly key: string;
  readonly username: string;
  readonly password: string;
  /** A third listener, over TLS, for whoever shows a certificate that this one has signed. PEM text. */
  readonly clientCa?: string;
}

export interface KafkaOptions {
  readonly secured?: SecuredListener;
  /** For each of these addresses (host:port) a listener that tells its clients to come back there: what leads there is the caller's. */
  readonly advertised?: readonly string[];
}

export interface RunningKafka extends RunningService {
  /** The address of the secured listener; empty: there is none. */
  readonly securedUrl: string;
  /** The address of the listener that asks for certificates; empty: there is none. */
  readonly mutualUrl: string;
  /** Where the listeners of the advertised addresses are. */
  readonly listeners: readonly string[];
  /** The broker stands still, and goes on. */
  pause(): void;
  resume(): void;
  /** SIGKILL; what it has stored stays. */
  kill(): Promise<void>;
  /** After a kill: on the same ports, with what it had stored. */
  restart(): Promise<void>;
}

/** Starts a broker. Undefined: Java or Maven is not installed. */
export async function startKafka({ secured, advertised = [] }: KafkaOptions = {}): Promise<RunningKafka | undefined> {
  const command = await find("java");
  if (command === undefined || (await find("mvn")) === undefined) return undefined;
  const library = join(await jars("kafka"), "*");
  const directory = await temporaryDirectory("kafka");
  const ports = {
    plain: await lastingPort(),
    controller: await lastingPort(),
    secured: await lastingPort(),
    mutual: await lastingPort(),
    advertised: await Promise.all(advertised.map(async (address) => ({ address, port: await lastingPort() }))),
  };
  const properties = join(directory, "server.properties");
  await writeFile(properties, settings(directory, ports, secured));
  await writeFile(join(directory, "log4j2.properties"), QUIET);
  const logging = [`-Dlog4j2.configurationFile=${join(directory, "log4j2.properties")}`];
  const tool = ["-cp", library, ...logging, "kafka.tools.StorageTool"];
  const { stdout } = await run(command, [...tool, "random-uuid"], { cwd: directory });
  const format = [...tool, "format", "-t", stdout.trim(), "-c", properties];
  await run(command, [...format, ...credentials(secured)], { cwd: directory });
  const program = {
    command,
    arguments: ["-Xmx512m", "-cp", library, ...logging, "kafka.Kafka", properties],
    directory,
    port: ports.plain,
  };
  let service = await ServiceProcess.start(program);
  return {
    url: `127.0.0.1:${ports.plain}`,
    get pid() {
      return service.pid;
    },
    securedUrl: secured === undefined ? "" : `127.0.0.1:${ports.secured}`,
    mutualUrl: secured?.clientCa === undefined ? "" : `127.0.0.1:${ports.mutual}`,
    listeners: ports.advertised.map(({ port }) => `127.0.0.1:${port}`),
    pause: () => service.pause(),
    resume: () => service.resume(),
    kill: () => service.stop("SIGKILL"),
    restart: async () => {
      service = await ServiceProcess.start(program);
    },
    stop: async () => {
      // What it would write down before it ends nobody reads.
      await service.stop("SIGKILL");
      await removeDirectory(directory);
    },
  };
}

/** Errors alone, for when it does not start. */
const QUIET = [
  "appender.errors.type = Console",
  "appender.errors.name = errors",
  "rootLogger.level = error",
  "rootLogger.appenderRef.errors.ref = errors",
  "",
].join("\n");

interface Ports {
  readonly plain: number;
  readonly controller: number;
  readonly secured: number;
  readonly mutual: number;
  readonly advertised: readonly { readonly address: string; readonly port: number }[];
}

function settings(directory: string, ports: Ports, secured: SecuredListener | undefined): string {
  const address = (name: string, port: number): string => `${name}://127.0.0.1:${port}`;
  const clients = [address("PLAINTEXT", ports.plain)];
  if (secured !== undefined) clients.push(address("SECURED", ports.secured));
  if (secured?.clientCa !== undefined) clients.push(address("MUTUAL", ports.mutual));
  const named = ports.advertised.map(({ address, port }, index) => ({ name: `LED${index}`, address, port }));
  const listeners = [...clients, ...named.map(({ name, port }) => address(name, port))];
  const told = [...clients, ...named.map(({ name, address }) => `${name}://${address}`)];
  const protocols = ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", "SECURED:SASL_SSL", "MUTUAL:SSL"];
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${ports.controller}`,
    `listeners=${[...listeners, address("CONTROLLER", ports.controller)].join(",")}`,
    `advertised.listeners=${told.join(",")}`,
    "controller.listener.names=CONTROLLER",
    `listener.security.protocol.map=${[...protocols, ...named.map(({ name }) => `${name}:PLAINTEXT`)].join(",")}`,
    ...(secured === undefined ? [] : security(secured)),
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

const SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

function credentials(secured: SecuredListener | undefined): readonly string[] {
  if (secured === undefined) return [];
  const { username, password } = secured;
  return SCRAM.flatMap((mechanism) => ["--add-scram", `${mechanism}=[name=${username},password=${password}]`]);
}

function security({ certificate, key, username, password, clientCa }: SecuredListener): readonly string[] {
  const line = (pem: string): string => pem.trim().replaceAll("\n", "\\n");
  const module = "org.apache.kafka.common.security";
  return [
    `sasl.enabled.mechanisms=${["PLAIN", ...SCRAM].join(",")}`,
    `listener.name.secured.plain.sasl.jaas.config=${module}.plain.PlainLoginModule required user_${username}="${password}";`,
    ...SCRAM.map((mechanism) => {
      const login = `${module}.scram.ScramLoginModule required;`;
      return `listener.name.secured.${mechanism.toLowerCase()}.sasl.jaas.config=${login}`;
    }),
    "ssl.keystore.type=PEM",
    `ssl.keystore.certificate.chain=${line(certificate)}`,
    `ssl.keystore.key=${line(key)}`,
    ...(clientCa === undefined
      ? []
      : [
          "listener.name.mutual.ssl.client.auth=required",
          "listener.name.mutual.ssl.truststore.type=PEM",
          `listener.name.mutual.ssl.truststore.certificates=${line(clientCa)}`,
        ]),
  ];
}
