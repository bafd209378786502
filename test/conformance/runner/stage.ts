// What one running case knows: its clients, its names, its tokens.

import { randomBytes } from "node:crypto";
import {
  at,
  type Connection,
  isObject,
  type Json,
  type JsonObject,
  number,
  type ResponseStream,
  type TestClient,
  text,
} from "../../support/client/index.js";
import { forgeToken, signToken, type TokenClaims, type TokenIssuer, unsignedToken } from "../../support/token.js";
import type { Case } from "./transcript.js";
import { difference, resolve, resolveObject } from "./values.js";

/** Gives the server's ordinary tokens, and bad ones. */
export interface TokenSource {
  readonly issuer: TokenIssuer;
}

export class Stage {
  readonly client: TestClient;
  readonly patienceMs: number | undefined;
  /** Has the bridge that the clients are connected to linked anew. Undefined: there is none in the test's hands. */
  readonly moveLink: (() => Promise<void>) | undefined;
  readonly #case: Case;
  readonly #issuer: TokenIssuer;
  readonly #run = randomBytes(4).toString("hex");
  readonly #names = new Map<string, Json>();
  readonly #connections = new Map<string, Connection>();
  readonly #streams = new Map<string, ResponseStream>();
  #counter = 0;

  constructor(client: TestClient, issuer: TokenIssuer, testCase: Case, moveLink?: () => Promise<void>) {
    this.client = client;
    this.moveLink = moveLink;
    this.patienceMs = testCase.patienceMs;
    this.#case = testCase;
    this.#issuer = issuer;
  }

  readonly lookup = (path: readonly string[]): Json | undefined => {
    const [first = "", ...rest] = path;
    const name = rest.join(".");
    if (first === "run" && name === "") return this.#run;
    if ((first === "user" || first === "room") && name !== "") return `${name}-${this.#run}`;
    if (first === "token" && name !== "") return this.token(name);
    return at(this.#names.get(first), ...rest);
  };

  readonly capture = (name: string, value: Json): void => {
    this.#names.set(name, value);
  };

  /** A key that no change of this case has used. */
  freshKey(): string {
    this.#counter += 1;
    return `key-${this.#counter}-${this.#run}`;
  }

  resolve(value: Json): Json {
    return resolve(value, this.lookup);
  }

  resolveObject(value: Json | undefined): JsonObject {
    return isObject(value) ? resolveObject(value, this.lookup) : {};
  }

  /** Throws where `actual` is not what is expected. */
  match(expected: Json, actual: Json | undefined): void {
    const found = difference(expected, actual, this.lookup, this.capture);
    if (found !== undefined) throw new Error(`${found}\n  got ${JSON.stringify(actual)}`);
  }

  matches(expected: Json, actual: Json): boolean {
    return difference(expected, actual, this.lookup, () => undefined) === undefined;
  }

  token(name: string): string {
    const described = at(this.#case.tokens, name);
    const userName = text(at(described, "user")) || name;
    const claims: TokenClaims = {
      user: `${userName}-${this.#run}`,
      name: userName,
      tenant: text(this.resolve(at(described, "tenant") ?? "demo")),
      grants: text(at(described, "grants"))
        .split(" ")
        .filter((grant) => grant !== ""),
      ...(at(described, "expiresInSeconds") === undefined
        ? {}
        : { expiresInSeconds: number(at(described, "expiresInSeconds")) }),
    };
    if (at(described, "forged") === true) return forgeToken(this.#issuer, claims);
    if (at(described, "alg") === "none") return unsignedToken(this.#issuer, claims);
    return signToken(this.#issuer, claims);
  }

  async connect(name: string, token?: string): Promise<Connection> {
    const label = `${this.client.transport} client ${name}`;
    const connection = await this.client.connect(token === undefined ? { label } : { label, token });
    this.#connections.set(name, connection);
    return connection;
  }

  connection(name: string): Connection {
    const connection = this.#connections.get(name);
    if (connection === undefined) throw new Error(`no client ${name} is connected`);
    return connection;
  }

  follow(name: string, token: string | undefined, service: string, method: string, request: JsonObject): void {
    this.#streams.set(name, this.client.follow(token, service, method, request));
  }

  stream(name: string): ResponseStream {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new Error(`no stream ${name} is followed`);
    return stream;
  }

  /** Lets go of all clients. */
  end(): void {
    for (const stream of this.#streams.values()) stream.cancel();
    for (const connection of this.#connections.values()) connection.destroy();
  }
}
