// Kafka's primitive types, big-endian. https://kafka.apache.org/protocol#protocol_types

/** Grows as it is written to. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  int8(value: number): this {
    this.#length = this.#room(1).writeInt8(value, this.#length);
    return this;
  }

  int16(value: number): this {
    this.#length = this.#room(2).writeInt16BE(value, this.#length);
    return this;
  }

  int32(value: number): this {
    this.#length = this.#room(4).writeInt32BE(value, this.#length);
    return this;
  }

  /** A safe integer. */
  int64(value: number): this {
    this.#room(8);
    writeInt64(this.#buffer, value, this.#length);
    this.#length += 8;
    return this;
  }

  string(value: string): this {
    const length = Buffer.byteLength(value);
    this.int16(length);
    this.#room(length).write(value, this.#length);
    this.#length += length;
    return this;
  }

  nullString(): this {
    return this.int16(-1);
  }

  bytes(value: Uint8Array): this {
    this.int32(value.length);
    this.#room(value.length).set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length);
    for (const value of values) write(value);
    return this;
  }

  raw(value: Uint8Array): this {
    this.#room(value.length).set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** How long a compact string or array is, at most 126. */
  compactLength(length: number): this {
    return this.int8(length + 1);
  }

  /** At most 126 bytes, or longer ones of at most 16,382. */
  compactString(value: string): this {
    const bytes = Buffer.from(value);
    const length = bytes.length + 1;
    if (length < 0x80) this.int8(length);
    else this.raw(Uint8Array.of((length & 0x7f) | 0x80, length >>> 7));
    return this.raw(bytes);
  }

  /** No tagged fields. */
  emptyTags(): this {
    return this.int8(0);
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(bytes: number): Buffer {
    if (this.#length + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

/** Throws RangeError beyond the end. What it returns as bytes aliases the input. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at: number;

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  /** How far it has read. */
  get at(): number {
    return this.#at;
  }

  int8(): number {
    const value = this.#buffer.readInt8(this.#at);
    this.#at += 1;
    return value;
  }

  int16(): number {
    const value = this.#buffer.readInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  int32(): number {
    const value = this.#buffer.readInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  int64(): number {
    const value = readInt64(this.#buffer, this.#at);
    this.#at += 8;
    return value;
  }

  string(): string {
    return this.nullableString() ?? "";
  }

  nullableString(): string | undefined {
    const length = this.int16();
    return length < 0 ? undefined : this.take(length).toString();
  }

  /** Null reads as empty. */
  bytes(): Buffer {
    return this.take(Math.max(0, this.int32()));
  }

  /** Null reads as empty. */
  array<T>(read: () => T): T[] {
    const length = this.int32();
    const values: T[] = [];
    for (let index = 0; index < length; index++) values.push(read());
    return values;
  }

  /** Null reads as empty. */
  compactString(): string {
    return this.take(Math.max(0, this.unsignedVarint() - 1)).toString();
  }

  /** Null reads as empty. */
  compactArray<T>(read: () => T): T[] {
    const values: T[] = [];
    for (let left = this.unsignedVarint() - 1; left > 0; left--) values.push(read());
    return values;
  }

  /** Skips fields that nobody here knows. */
  tags(): void {
    for (let left = this.unsignedVarint(); left > 0; left--) {
      this.unsignedVarint();
      this.take(this.unsignedVarint());
    }
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#buffer.length) throw new RangeError(`${length} bytes at ${this.#at}: beyond the end`);
    const taken = this.#buffer.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** A zigzag varint of at most 64 bits, of which 53 are kept. */
  varint(): number {
    const value = this.unsignedVarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  unsignedVarint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#buffer.readUInt8(this.#at);
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }
}

/** Bytes that `writeVarint` writes; `value` from -1 up to 2^30. */
export function varintLength(value: number): number {
  let rest = zigzag(value);
  let length = 1;
  while (rest >= 0x80) {
    rest >>>= 7;
    length += 1;
  }
  return length;
}

/** Writes a zigzag varint, `value` from -1 up to 2^30. Returns where it ends. */
export function writeVarint(buffer: Buffer, value: number, at: number): number {
  let rest = zigzag(value);
  let end = at;
  while (rest >= 0x80) {
    buffer[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[end++] = rest;
  return end;
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

const TWO_TO_32 = 0x1_0000_0000;

export function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * TWO_TO_32 + buffer.readUInt32BE(at + 4);
}

export function writeInt64(buffer: Buffer, value: number, at: number): void {
  const high = Math.floor(value / TWO_TO_32);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * TWO_TO_32, at + 4);
}
