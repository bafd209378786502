// WebSocket framing of whole messages: one unmasked frame, header and payload in one Buffer (RFC 6455, section 5.2).
//
// A message for a thousand sessions is framed once and written a thousand times. This holds only where no extension
// changes payloads, so compression stays off.

const FIN = 0x80;
const TEXT = 0x1;
const BINARY = 0x2;
const MAX_7_BIT_LENGTH = 125;
const MAX_16_BIT_LENGTH = 0xffff;

/** A text message as one frame. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = frameFor(TEXT, length);
  frame.write(text, frame.length - length);
  return frame;
}

/** A binary message as one frame. */
export function binaryFrame(payload: Uint8Array): Buffer {
  const frame = frameFor(BINARY, payload.length);
  frame.set(payload, frame.length - payload.length);
  return frame;
}

/** A frame whose header is written and whose last `length` bytes are not. */
function frameFor(opcode: number, length: number): Buffer {
  if (length <= MAX_7_BIT_LENGTH) {
    const frame = Buffer.allocUnsafe(2 + length);
    frame[1] = length;
    frame[0] = FIN | opcode;
    return frame;
  }
  if (length <= MAX_16_BIT_LENGTH) {
    const frame = Buffer.allocUnsafe(4 + length);
    frame[0] = FIN | opcode;
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
    return frame;
  }
  const frame = Buffer.allocUnsafe(10 + length);
  frame[0] = FIN | opcode;
  frame[1] = 127;
  frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
  frame.writeUInt32BE(length >>> 0, 6);
  return frame;
}
