// The conformance program for any server: `npm run conformance -- --grpc HOST:PORT --ws URL --http URL (--secret SECRET | --key FILE)`.

import { parseArgs } from "node:util";
import { TestClient, type Transport } from "../../support/client/index.js";
import { issuerOfKeyFile, type TokenIssuer } from "../../support/token.js";
import { runCase } from "./run-case.js";
import { readTranscripts } from "./transcript.js";

const USAGE = `usage: npm run conformance -- [--grpc HOST:PORT] [--ws URL --http URL] (--secret SECRET | --key FILE) [options]

  --grpc HOST:PORT   run over gRPC
  --ws URL           run over WebSocket, binary and JSON, e.g. ws://127.0.0.1:8080/v1/connect
  --http URL         base URL of the Connect routes, e.g. http://127.0.0.1:8080
  --secret SECRET    the HS256 secret that the server's auth service accepts
  --key FILE         instead: a private Ed25519 JWK it accepts, such as dev-key.json in the data directory of \`trunkline dev\`
  --issuer ISSUER    the tokens' issuer
  --audience AUD     the tokens' audience
  --only TEXT        only cases whose file or title holds TEXT`;

/** Returns the process's exit code. */
export async function main(argv: readonly string[], print: (line: string) => void): Promise<number> {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      grpc: string,
      ws: string,
      http: string,
      secret: string,
      key: string,
      issuer: string,
      audience: string,
      only: string,
    },
  });
  const { grpc, ws, http, only = "" } = values;
  const transports: Transport[] = grpc === undefined ? [] : ["grpc"];
  if (ws !== undefined && http !== undefined) transports.push("websocket-binary", "websocket-json", "events");
  const issuer = issuerOf(values);
  if (issuer === undefined || transports.length === 0) {
    print(USAGE);
    return 2;
  }
  let failures = 0;
  for (const transport of transports) {
    const client = new TestClient(transport, { grpc: grpc ?? "", ws: ws ?? "", http: http ?? "" });
    for (const transcript of readTranscripts()) {
      for (const testCase of transcript.cases) {
        const name = `${transport}  ${transcript.name}: ${testCase.title}`;
        if (!testCase.transports.includes(transport) || !name.includes(only)) continue;
        const failure = await runCase(testCase, client, issuer).then(() => undefined, String);
        print(failure === undefined ? `ok    ${name}` : `FAIL  ${name}\n      ${failure}`);
        failures += failure === undefined ? 0 : 1;
      }
    }
  }
  print(failures === 0 ? "all passed" : `${failures} failed`);
  return failures === 0 ? 0 : 1;
}

interface IssuerFlags {
  readonly secret?: string | undefined;
  readonly key?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}

function issuerOf({ secret, key, issuer, audience }: IssuerFlags): TokenIssuer | undefined {
  if (key !== undefined) return issuerOfKeyFile(key, issuer);
  if (secret === undefined) return undefined;
  return {
    key: { secret },
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  };
}
