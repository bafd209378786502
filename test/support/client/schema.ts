// The contract read from the .proto files at run time, by another protobuf library than the server's.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { isArray, isObject, type Json, type JsonObject } from "./json-value.js";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));

/** Turns proto3 JSON into wire bytes and back. */
export class Schema {
  readonly #root: protobuf.Root;

  constructor(directory = PROTO) {
    this.#root = new protobuf.Root();
    this.#root.resolvePath = (_origin, target) =>
      target.startsWith("google/protobuf/") || target.startsWith("/") ? target : join(directory, target);
    const folders = ["trunkline/v1", "google/rpc"];
    const files = folders.flatMap((folder) => readdirSync(join(directory, folder)).map((name) => `${folder}/${name}`));
    this.#root.loadSync(files.filter((name) => name.endsWith(".proto")).map((name) => join(directory, name)));
    this.#root.resolveAll();
  }

  encode(typeName: string, json: Json): Buffer {
    const type = this.#root.lookupType(typeName);
    return Buffer.from(type.encode(type.fromObject(toWire(type, json))).finish());
  }

  decode(typeName: string, bytes: Uint8Array): JsonObject {
    const type = this.#root.lookupType(typeName);
    const plain: unknown = type.toObject(type.decode(bytes), { enums: String, longs: Number, bytes: String });
    const json = toJson(type, plain);
    return isObject(json) ? json : {};
  }

  /** The first field or enum value that the contract does not have; undefined: all are known. Values are not looked at. */
  unknownName(typeName: string, json: Json): string | undefined {
    return unknownName(this.#root.lookupType(typeName), json, "");
  }

  /** The number of an enum value's name. */
  enumValue(enumName: string, name: string): number {
    const value = this.#root.lookupEnum(enumName).values[name];
    if (value === undefined) throw new Error(`${enumName} has no ${name}`);
    return value;
  }

  /** Names of the request and response messages of an RPC. */
  method(service: string, method: string): { readonly request: string; readonly response: string } {
    const found = this.#root.lookupService(service).methods[method];
    if (found === undefined) throw new Error(`${service} has no method ${method}`);
    return { request: found.requestType, response: found.responseType };
  }
}

/** proto3 JSON to what protobufjs takes: it knows neither timestamps nor structs. */
function toWire(type: protobuf.Type, json: Json): { [key: string]: unknown } {
  if (type.fullName === ".google.protobuf.Timestamp") return timestampToWire(json);
  if (type.fullName === ".google.protobuf.Struct") return structToWire(json);
  if (!isObject(json)) throw new Error(`${type.fullName}: not an object`);
  const wire: { [key: string]: unknown } = {};
  for (const [key, value] of Object.entries(json)) {
    const field = type.fields[key];
    if (field === undefined) throw new Error(`${type.fullName} has no field ${key}`);
    if (value === null) continue;
    const message = field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
    if (message === undefined || field.map) wire[key] = value;
    else if (field.repeated) wire[key] = isArray(value) ? value.map((item) => toWire(message, item)) : [];
    else wire[key] = toWire(message, value);
  }
  return wire;
}

function toJson(type: protobuf.Type, plain: unknown): Json {
  if (!isObject(plain)) throw new Error(`${type.fullName}: not an object`);
  if (type.fullName === ".google.protobuf.Timestamp") return timestampToJson(plain);
  if (type.fullName === ".google.protobuf.Struct") return structToJson(plain);
  const json: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(plain)) {
    const field = type.fields[key];
    const message = field?.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
    if (message === undefined || field?.map) json[key] = value;
    else if (isArray(value)) json[key] = value.map((item) => toJson(message, item));
    else json[key] = toJson(message, value);
  }
  return json;
}

function unknownName(type: protobuf.Type, json: Json, path: string): string | undefined {
  if (!isObject(json) || type.fullName === ".google.protobuf.Struct") return undefined;
  for (const [key, value] of Object.entries(json)) {
    const field = type.fields[key];
    const here = `${path}${key}`;
    if (field === undefined) return here;
    for (const item of isArray(value) ? value : [value]) {
      const { resolvedType } = field;
      if (resolvedType instanceof protobuf.Type && !field.map) {
        const unknown = unknownName(resolvedType, item, `${here}.`);
        if (unknown !== undefined) return unknown;
      } else if (resolvedType instanceof protobuf.Enum && typeof item === "string" && !item.startsWith("$")) {
        if (resolvedType.values[item] === undefined) return `${here}: ${item}`;
      }
    }
  }
  return undefined;
}

function timestampToWire(json: Json): { [key: string]: unknown } {
  const millis = Date.parse(String(json));
  if (Number.isNaN(millis)) throw new Error(`not a timestamp: ${String(json)}`);
  const seconds = Math.floor(millis / 1000);
  return { seconds, nanos: (millis - seconds * 1000) * 1_000_000 };
}

function timestampToJson(plain: JsonObject): string {
  const seconds = typeof plain.seconds === "number" ? plain.seconds : 0;
  const nanos = typeof plain.nanos === "number" ? plain.nanos : 0;
  return new Date(seconds * 1000 + Math.floor(nanos / 1_000_000)).toISOString();
}

function structToWire(json: Json): { [key: string]: unknown } {
  if (!isObject(json)) throw new Error("a struct is a JSON object");
  return { fields: Object.fromEntries(Object.entries(json).map(([key, value]) => [key, valueToWire(value)])) };
}

function valueToWire(json: Json): unknown {
  if (json === null) return { nullValue: 0 };
  if (typeof json === "number") return { numberValue: json };
  if (typeof json === "string") return { stringValue: json };
  if (typeof json === "boolean") return { boolValue: json };
  if (isArray(json)) return { listValue: { values: json.map(valueToWire) } };
  return { structValue: structToWire(json) };
}

function structToJson(plain: JsonObject): Json {
  const fields = isObject(plain.fields) ? plain.fields : {};
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, valueToJson(value)]));
}

function valueToJson(plain: Json): Json {
  if (!isObject(plain)) return null;
  if (isObject(plain.structValue)) return structToJson(plain.structValue);
  if (isObject(plain.listValue)) return isArray(plain.listValue.values) ? plain.listValue.values.map(valueToJson) : [];
  return plain.numberValue ?? plain.stringValue ?? plain.boolValue ?? null;
}
