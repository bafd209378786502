// Reads transcripts: YAML files of cases, each a list of steps. README.md beside the transcripts says what they mean.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import {
  at,
  isArray,
  isObject,
  type Json,
  type JsonObject,
  TRANSPORTS,
  type Transport,
  text,
} from "../../support/client/index.js";

export interface Step {
  readonly action: string;
  /** What the action is given. */
  readonly input: JsonObject;
}

export interface Case {
  readonly title: string;
  readonly transports: readonly Transport[];
  /** Tokens beside the ordinary ones of users, by name. */
  readonly tokens: JsonObject;
  /** How long one expectation may take, in milliseconds. */
  readonly patienceMs: number | undefined;
  readonly steps: readonly Step[];
}

export interface Transcript {
  readonly name: string;
  readonly title: string;
  readonly cases: readonly Case[];
}

const FOLDER = fileURLToPath(new URL("../transcripts", import.meta.url));
/** Those that move the link of a bridge: not for every server. */
export const BRIDGE_TRANSCRIPTS = join(FOLDER, "bridge");

export function readTranscripts(folder = FOLDER): readonly Transcript[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
  return names.sort().map((name) => readTranscript(join(folder, name)));
}

function readTranscript(file: string): Transcript {
  const document: unknown = parse(readFileSync(file, "utf8"));
  const name = basename(file, ".yaml");
  if (!isObject(document)) throw new Error(`${name} is not a transcript`);
  const cases = list(document.cases).map((item) => readCase(item, name));
  return { name, title: text(document.title), cases };
}

function readCase(item: Json, name: string): Case {
  const title = text(at(item, "title"));
  if (title === "") throw new Error(`${name}: a case without a title`);
  const only = list(at(item, "transports")).map(text);
  const unknown = only.find((transport) => !TRANSPORTS.some((known) => known === transport));
  if (unknown !== undefined) throw new Error(`${name}: ${title}: no transport ${unknown}`);
  const tokens = at(item, "tokens");
  const patience = at(item, "patienceMs");
  return {
    title,
    transports: only.length === 0 ? TRANSPORTS : TRANSPORTS.filter((transport) => only.includes(transport)),
    tokens: isObject(tokens) ? tokens : {},
    patienceMs: typeof patience === "number" ? patience : undefined,
    steps: readSteps(at(item, "steps"), `${name}: ${title}`),
  };
}

export function readSteps(value: Json | undefined, where: string): readonly Step[] {
  return list(value).map((item, index) => {
    const entries = isObject(item) ? Object.entries(item) : [];
    const [action, input] = entries[0] ?? [];
    if (action === undefined || entries.length !== 1) throw new Error(`${where}: step ${index + 1} is not one action`);
    return { action, input: isObject(input) ? input : { client: input ?? "" } };
  });
}

function list(value: Json | undefined): readonly Json[] {
  return isArray(value) ? value : [];
}
