// What a node has to say on a link in one turn: each frame's bytes once, then who gets them.

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { CloseCode } from "../../../gen/trunkline/v1/error_pb.js";
import { LinkDeliverySchema, LinkDownSchema, LinkEndedSchema } from "../../../gen/trunkline/v1/link_pb.js";

const DOWN = LinkDownSchema.field;
const DELIVERY = LinkDeliverySchema.field;

/** What a delivery and a session in it take, in bytes, about. */
const DELIVERY_BYTES = 8;
const SESSION_BYTES = 3;

/** One frame on its way to some sessions. */
interface Delivery {
  readonly at: number;
  readonly frame: number;
  readonly sessions: number[];
}

/** A session as far as its order goes. */
export interface Addressee {
  readonly number: number;
  /** Of the batch named beside it, the last delivery that the session is in. */
  lastDelivery: number;
  lastBatch: LinkBatch | undefined;
}

export class LinkBatch {
  readonly #frames: Uint8Array[] = [];
  readonly #deliveries: Delivery[] = [];
  /** By frame, the last delivery of it. Frames that many sessions get are the same object. */
  readonly #delivered = new Map<Uint8Array, Delivery>();
  readonly #ended: Uint8Array[] = [];
  #bytes = 0;

  /** Roughly how long it is encoded, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#deliveries.length === 0 && this.#ended.length === 0;
  }

  deliver(frame: Uint8Array, to: Addressee): void {
    const last = to.lastBatch === this ? to.lastDelivery : -1;
    let delivery = this.#delivered.get(frame);
    // Deliveries are carried out one after the other: a session that has a later one already needs one more.
    if (delivery === undefined || delivery.at <= last) {
      if (delivery === undefined) this.#bytes += frame.length;
      delivery = { at: this.#deliveries.length, frame: delivery?.frame ?? this.#frames.push(frame) - 1, sessions: [] };
      this.#deliveries.push(delivery);
      this.#delivered.set(frame, delivery);
      this.#bytes += DELIVERY_BYTES;
    }
    delivery.sessions.push(to.number);
    this.#bytes += SESSION_BYTES;
    to.lastDelivery = delivery.at;
    to.lastBatch = this;
  }

  end(session: number, code: CloseCode, reason: string, retryAfterMs?: number): void {
    const ended = create(LinkEndedSchema, { session, code, reason });
    if (retryAfterMs !== undefined) ended.retryAfterMs = retryAfterMs;
    const bytes = toBinary(LinkEndedSchema, ended);
    this.#ended.push(bytes);
    this.#bytes += bytes.length;
  }

  /** A LinkDown. */
  encode(): Uint8Array {
    const writer = new BinaryWriter();
    for (const frame of this.#frames) writer.tag(DOWN.frames.number, WireType.LengthDelimited).bytes(frame);
    for (const { frame, sessions } of this.#deliveries) {
      writer.tag(DOWN.deliveries.number, WireType.LengthDelimited).fork();
      if (frame !== 0) writer.tag(DELIVERY.frame.number, WireType.Varint).uint32(frame);
      writer.tag(DELIVERY.sessions.number, WireType.LengthDelimited).fork();
      for (const session of sessions) writer.uint32(session);
      writer.join().join();
    }
    for (const ended of this.#ended) writer.tag(DOWN.ended.number, WireType.LengthDelimited).bytes(ended);
    return writer.finish();
  }
}
