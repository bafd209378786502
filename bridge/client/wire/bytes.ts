// Protobuf's wire format: numbers, texts and bytes, each behind its tag.

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true });

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;

const FIRST_BYTES = 256;
/** A varint of 64 bits. */
const LONGEST_VARINT = 10;

export class Writer {
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#at);
  }

  tag(number: number, wireType: number): void {
    this.varint(number * 8 + wireType);
  }

  /** A whole number; one below zero as 64 bits, as protobuf has it. */
  varint(value: number): void {
    this.#reserve(LONGEST_VARINT);
    let rest = value < 0 ? BigInt.asUintN(64, BigInt(value)) : undefined;
    if (rest !== undefined) {
      for (; rest > 127n; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 127n) | 128;
      this.#bytes[this.#at++] = Number(rest);
      return;
    }
    let left = value;
    for (; left > 127; left = Math.floor(left / 128)) this.#bytes[this.#at++] = (left % 128) | 128;
    this.#bytes[this.#at++] = left;
  }

  double(value: number): void {
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  text(value: string): void {
    this.bytes(ENCODER.encode(value));
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const longer = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    longer.set(this.#bytes);
    this.#bytes = longer;
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Exact up to 2⁵³; one of 64 bits with the highest set is below zero. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let length = 0; length < LONGEST_VARINT; length++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value >= 2 ** 63 ? Number(BigInt.asIntN(64, this.#wide(length + 1))) : value;
      factor *= 128;
    }
    throw new Error("a number has no end");
  }

  double(): number {
    const { buffer, byteOffset } = this.#take(8);
    return new DataView(buffer, byteOffset).getFloat64(0, true);
  }

  text(): string {
    return DECODER.decode(this.bytes());
  }

  /** A view. */
  bytes(): Uint8Array {
    return this.#take(this.varint());
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.#take(8);
    else if (wireType === LENGTH) this.bytes();
    else if (wireType === FIXED32) this.#take(4);
    else throw new Error(`there is no wire type ${wireType}`);
  }

  #take(length: number): Uint8Array {
    const from = this.#at;
    if (from + length > this.#bytes.length) throw new Error("it ends in the middle");
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  /** The varint of so many bytes that was just read, exactly. */
  #wide(length: number): bigint {
    let value = 0n;
    for (let at = this.#at - 1; at >= this.#at - length; at--)
      value = (value << 7n) | BigInt((this.#bytes[at] ?? 0) & 127);
    return value;
  }
}
