// Headers of the records that others write and read, and how a text travels in one.

/** What the value of a record is. */
export const CONTENT_TYPE = "content-type";
export const PROTOBUF = "application/x-protobuf";
export const JSON_TYPE = "application/json";

/** UTF-8, a character a byte. */
export function headerText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
