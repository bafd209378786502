// What a person sees when a server has started: what listens where, and what to do next.

/** Everything that listens, as bound. */
export interface Listening {
  readonly grpc: string;
  readonly grpcTls: boolean;
  readonly bridge: string;
  readonly bridgeTls: boolean;
  readonly page: boolean;
  readonly metrics: string | undefined;
  readonly auth: string;
  /** As a node of a cluster: which one, and where other nodes reach it. */
  readonly node?: string | undefined;
  readonly peers?: string | undefined;
  readonly data: string;
}

export interface BannerInput {
  readonly version: string;
  readonly listening: Listening;
  /** How to call this program again from a shell. */
  readonly program: string;
  /** How to name the data directory to it, where it is not the default. */
  readonly dataFlag: string;
  /** `trunkline dev`: says so loudly, and how to get a token. */
  readonly development: boolean;
}

/** The text, with a line's end. */
export function banner({ version, listening, program, dataFlag, development }: BannerInput): string {
  const web = `${listening.bridgeTls ? "https" : "http"}://${listening.bridge}`;
  const socket = `${listening.bridgeTls ? "wss" : "ws"}://${listening.bridge}/v1/connect`;
  const places: readonly (readonly [string, string | undefined])[] = [
    ["Page", listening.page ? `${web}/` : undefined],
    ["Browsers", socket],
    ["gRPC", `${listening.grpc}${listening.grpcTls ? " (TLS)" : ""}`],
    ["Health", `${web}/health/ready`],
    ["Metrics", listening.metrics === undefined ? undefined : `http://${listening.metrics}/metrics`],
    ["Auth", listening.auth],
    ["Node", listening.node],
    ["Peers", listening.peers],
    ["Data", listening.data],
  ];
  const lines = ["", `  Trunkline ${version}`, ""];
  if (development) {
    lines.push(
      "  DEVELOPMENT MODE: whoever reaches this machine's loopback can be any user. Never expose it.",
      "  For real users: trunkline serve --auth-address HOST:PORT",
      "",
    );
  }
  for (const [name, place] of places) if (place !== undefined) lines.push(`  ${name.padEnd(10)}${place}`);
  lines.push(
    "",
    ...nextSteps(listening, web, `${program} token --user ann${dataFlag}`, development),
    "  Stop with Ctrl-C.",
    "",
  );
  return `${lines.join("\n")}\n`;
}

function nextSteps(listening: Listening, web: string, token: string, development: boolean): readonly string[] {
  const transport = listening.grpcTls ? "" : "-plaintext ";
  const steps = [`  Look around  grpcurl ${transport}${listening.grpc} list`];
  if (!development) return [...steps, ""];
  return [
    ...(listening.page ? [`  Talk         open ${web}/ in two windows`] : []),
    ...steps,
    `  Get a token  ${token}`,
    `  Call         grpcurl ${transport}-H "authorization: Bearer $(${token})" \\`,
    `                 ${listening.grpc} trunkline.v1.RoomService/ListRooms`,
    "",
  ];
}
