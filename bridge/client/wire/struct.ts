// google.protobuf.Struct: any JSON object.

/** As the contract has it. */
export interface Struct {
  readonly fields?: readonly { readonly key?: string; readonly value?: Value }[];
}

interface Value {
  readonly nullValue?: 0;
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly structValue?: Struct;
  readonly listValue?: { readonly values?: readonly Value[] };
}

type Json = Readonly<Record<string, unknown>>;

/** Deeper than anybody means, and far from what servers and stacks take. */
const DEEPEST = 100;

/** Throws where it is none of JSON, or too deep. */
export function toStruct(object: Json, depth = 0): Struct {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return { fields: entries.map(([key, value]) => ({ key, value: toValue(value, depth + 1) })) };
}

function toValue(value: unknown, depth: number): Value {
  if (depth > DEEPEST) throw new Error("too deep");
  if (value === null || value === undefined) return { nullValue: 0 };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map((each) => toValue(each, depth + 1)) } };
  if (typeof value === "object") return { structValue: toStruct(value as Json, depth) };
  if (Number.isFinite(value)) return { numberValue: value as number };
  throw new Error("nothing of JSON");
}

export function fromStruct({ fields = [] }: Struct): Json {
  // A key may be called __proto__: it is one like any other.
  return Object.fromEntries(fields.map(({ key = "", value = {} }) => [key, fromValue(value)]));
}

function fromValue({ numberValue, stringValue, boolValue, structValue, listValue }: Value): unknown {
  if (structValue !== undefined) return fromStruct(structValue);
  if (listValue !== undefined) return (listValue.values ?? []).map(fromValue);
  return numberValue ?? stringValue ?? boolValue ?? null;
}
