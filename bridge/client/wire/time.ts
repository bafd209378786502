// google.protobuf.Timestamp, which proto3 JSON writes as text.

/** As the contract has it. */
export interface Timestamp {
  /** Since 1970. */
  readonly seconds?: number;
  readonly nanos?: number;
}

/** Of 2000-01-01T00:00:00. */
const SECONDS_LENGTH = 19;
const NANOS = 1_000_000_000;

/** The last that was written out. */
let lately: number | undefined;
let text = "";

/** Throws where it is no time. */
export function toTimestamp(text: string): Timestamp {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error(`${text} is no time`);
  // Date knows milliseconds; the text may know more.
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "";
  return { seconds: Math.floor(ms / 1_000), nanos: Number(fraction.padEnd(9, "0")) };
}

export function fromTimestamp({ seconds = 0, nanos = 0 }: Timestamp): string {
  // What comes together happened together.
  if (seconds !== lately) text = new Date(seconds * 1_000).toISOString().slice(0, SECONDS_LENGTH);
  lately = seconds;
  let digits = String(NANOS + nanos).slice(1);
  // None, three, six or nine of them.
  while (digits.endsWith("000")) digits = digits.slice(0, -3);
  return `${text}${digits && `.${digits}`}Z`;
}
