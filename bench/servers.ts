// Starts the servers under test, each in a process of its own with nothing else in it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Children } from "./process/children.js";
import { untilReady } from "./process/ready.js";
import type { BridgeTarget, PeerTarget, TrunklineTarget } from "./target.js";
import { bridgeArguments, keyFileIn, readAddresses, readBridgeAddresses, trunklineArguments } from "./trunkline.js";

export interface Running<T> {
  readonly target: T;
  stop(): Promise<void>;
}

const GC_ON_SIGNAL = ["--expose-gc", "--import", new URL("./process/gc-on-signal.js", import.meta.url).href];
const CLI = fileURLToPath(new URL("../src/cli.js", import.meta.url));

/** Trunkline as one process on a new data directory, with its rate limits lifted. */
export async function startTrunkline(
  children: Children,
  profile?: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Running<TrunklineTarget>> {
  const data = await mkdtemp(join(tmpdir(), "trunkline-bench-"));
  const node = await startNode(children, data, environment, profile);
  return {
    target: node.target,
    async stop() {
      await node.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A node of a cluster as one process, with its rate limits lifted. Whoever starts it removes the data directory. */
export async function startNode(
  children: Children,
  data: string,
  environment: Readonly<Record<string, string>>,
  profile?: string,
  webPort = 0,
): Promise<Running<TrunklineTarget> & { readonly exited: Promise<void> }> {
  const child = await children.startProgram(
    [...serverOptions(profile), CLI, ...trunklineArguments(data, webPort)],
    { env: { ...plainEnvironment(), ...environment }, cwd: data },
    readAddresses,
  );
  return {
    target: { kind: "trunkline", pid: child.pid, keyFile: keyFileIn(data), ...child.ready },
    exited: child.exited,
    stop: child.stop,
  };
}

/** A bridge that is linked to a node, as one process; resolves once it takes connections. */
export async function startBridge(
  children: Children,
  { node, secret, name, profile }: BridgeStart,
): Promise<Running<BridgeTarget>> {
  const environment = { ...plainEnvironment(), TRUNKLINE_LINK_SECRET: secret };
  const child = await children.startProgram(
    [...serverOptions(profile), CLI, ...bridgeArguments(node.grpcPort, name)],
    { env: environment },
    readBridgeAddresses,
  );
  await untilReady(child.ready.webPort);
  return { target: { pid: child.pid, ...child.ready }, stop: child.stop };
}

export interface BridgeStart {
  readonly node: TrunklineTarget;
  /** What the node was given as its link secret. */
  readonly secret: string;
  readonly name: string;
  readonly profile?: string | undefined;
}

/** A peer as one process. */
export async function startPeer(children: Children, kind: PeerTarget["kind"]): Promise<Running<PeerTarget>> {
  const module = kind === "ws" ? "./peer/ws-server.js" : "./peer/socket-io-server.js";
  const child = await children.startPeer(fileURLToPath(new URL(module, import.meta.url)), GC_ON_SIGNAL);
  return { target: { kind, pid: child.pid, port: child.port }, stop: child.stop };
}

function serverOptions(profile: string | undefined): readonly string[] {
  return profile === undefined ? GC_ON_SIGNAL : [...GC_ON_SIGNAL, "--cpu-prof", "--cpu-prof-dir", profile];
}

/** The environment without what would configure Trunkline or Node differently from one machine to the next. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("TRUNKLINE_") && name !== "NODE_OPTIONS",
  );
  return { ...Object.fromEntries(kept), NODE_ENV: "production" };
}
