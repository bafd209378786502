// Unary calls as plain JSON over HTTP, as Connect defines them.

import { type CallOutcome, connectErrorOf } from "./grpc.js";
import { isObject, type JsonObject } from "./json-value.js";
import type { Schema } from "./schema.js";

export async function callConnectJson(
  schema: Schema,
  baseUrl: string,
  token: string | undefined,
  service: string,
  method: string,
  request: JsonObject,
): Promise<CallOutcome> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${baseUrl}/${service}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", "connect-protocol-version": "1", ...authorization },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(10_000),
  });
  const body: unknown = await answer.json();
  const json = isObject(body) ? body : {};
  if (answer.ok) return { response: json };
  return { error: connectErrorOf(schema, json) };
}
