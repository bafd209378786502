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
/** In bytes: ids, names, and much of what people write. */
const SHORT_TEXT = 64;

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
    // Below zero, what is written is all bits of what it is less than −1 by, turned.
    const turned = value < 0 ? 127 : 0;
    let left = turned === 0 ? value : -1 - value;
    for (let bytes = 1; turned === 0 ? left > 127 : bytes < LONGEST_VARINT; bytes++) {
      this.#bytes[this.#at++] = ((left % 128) ^ turned) | 128;
      left = Math.floor(left / 128);
    }
    this.#bytes[this.#at++] = turned === 0 ? left : 1;
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

  /** A field of bytes. */
  field(number: number, value: Uint8Array): void {
    this.tag(number, LENGTH);
    this.bytes(value);
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
  #at: number;
  readonly #end: number;

  /** Of the bytes from `at` to before `end`. */
  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** Exact up to 2⁵³; one of 64 bits with the highest set is below zero. */
  varint(): number {
    let value = 0;
    let turned = 0;
    let factor = 1;
    for (let left = LONGEST_VARINT; left > 0 && !this.done; left--) {
      const byte = this.#bytes[this.#at++] as number;
      if (left === 1 && byte === 1) return -1 - turned;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      turned += (~byte & 127) * factor;
      factor *= 128;
    }
    throw new Error("it ends in the middle");
  }

  double(): number {
    const from = this.#pass(8);
    return new DataView(this.#bytes.slice(from, this.#at).buffer).getFloat64(0, true);
  }

  text(): string {
    const length = this.varint();
    const from = this.#pass(length);
    // Most texts are short and plain: calling the decoder takes several times as long as reading them.
    const codes: number[] = [];
    let at = from;
    while (length <= SHORT_TEXT && at < this.#at) {
      const byte = this.#bytes[at] as number;
      if (byte > 127) break;
      codes.push(byte);
      at++;
    }
    return at < this.#at ? DECODER.decode(this.#bytes.subarray(from, this.#at)) : String.fromCharCode(...codes);
  }

  /** A view. */
  bytes(): Uint8Array {
    const from = this.#pass(this.varint());
    return this.#bytes.subarray(from, this.#at);
  }

  /** Of the bytes that `bytes` would give. */
  inner(): Reader {
    const from = this.#pass(this.varint());
    return new Reader(this.#bytes, from, this.#at);
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.#pass(8);
    else if (wireType === LENGTH) this.#pass(this.varint());
    else if (wireType === FIXED32) this.#pass(4);
    else throw new Error(`there is no wire type ${wireType}`);
  }

  /** Returns where the bytes begin that are passed. */
  #pass(length: number): number {
    const from = this.#at;
    if (length < 0 || from + length > this.#end) throw new Error("it ends in the middle");
    this.#at += length;
    return from;
  }
}
