// What a node has to say on a link in one turn: each frame's bytes once, then who gets them.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  LinkAttachSchema,
  LinkDeliverySchema,
  LinkDownSchema,
  LinkEndedSchema,
} from "../../../gen/trunkline/v1/link_pb.js";

const DOWN = LinkDownSchema.field;
const DELIVERY = LinkDeliverySchema.field;
const ATTACH = LinkAttachSchema.field;

/** What a delivery, a session in it and an attachment take, in bytes, about. */
const DELIVERY_BYTES = 8;
const SESSION_BYTES = 3;
const ATTACH_BYTES = 16;

/** A frame of the batch. */
interface Held {
  readonly index: number;
  /** The last delivery of it to sessions. */
  delivery: Delivery | undefined;
}

/** One frame on its way to some sessions or relays, and who joins and leaves relays before. */
interface Delivery {
  readonly at: number;
  readonly frame: number;
  readonly sessions: number[];
  readonly relays: number[];
  readonly sent: number;
  readonly detach: number[];
  readonly attach: Attachment[];
}

/** A session that joins a relay: see LinkAttach. */
export interface Attachment {
  readonly attachment: number;
  readonly relay: number;
  readonly session: number;
  readonly sent: number;
}

/** A session as far as its order goes. */
export interface Addressee {
  readonly number: number;
  /** Of the batch numbered beside it, the last delivery that the session is in. */
  lastDelivery: number;
  lastBatch: number;
}

/** How many batches there have been. */
let batches = 0;

export class LinkBatch {
  /** Its own, so that sessions that were in it do not keep it alive. From 1. */
  readonly #number = ++batches;
  /** Frames that many sessions get are the same object. */
  readonly #frames = new Map<Uint8Array, Held>();
  readonly #deliveries: Delivery[] = [];
  readonly #ended: Uint8Array[] = [];
  /** The last delivery to relays. */
  #lastRelayed = -1;
  #bytes = 0;

  /** Roughly how long it is encoded, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#deliveries.length === 0 && this.#ended.length === 0;
  }

  deliver(frame: Uint8Array, to: Addressee): void {
    // Deliveries are carried out one after the other: a session that has a later one already, or is perhaps at a relay that has, needs one more.
    const last = Math.max(to.lastBatch === this.#number ? to.lastDelivery : -1, this.#lastRelayed);
    const held = this.#hold(frame);
    if (held.delivery === undefined || held.delivery.at <= last) held.delivery = this.#deliver(held.index);
    const { delivery } = held;
    delivery.sessions.push(to.number);
    this.#bytes += SESSION_BYTES;
    this.#come(to, delivery);
  }

  /** `sent`: the seq of the last event in the frame; 0: none. */
  relay(frame: Uint8Array, relay: number, sent: number): void {
    const { index } = this.#hold(frame);
    const last = this.#deliveries.at(-1);
    // Relays of one room are told one after the other.
    if (last?.frame === index && last.sent === sent && last.relays.length > 0) last.relays.push(relay);
    else {
      const delivery = this.#deliver(index, sent);
      delivery.relays.push(relay);
      this.#lastRelayed = delivery.at;
    }
    this.#bytes += SESSION_BYTES;
  }

  attach(attachment: Attachment, to: Addressee): void {
    const delivery = this.#change();
    delivery.attach.push(attachment);
    this.#bytes += ATTACH_BYTES;
    this.#come(to, delivery);
  }

  detach(attachment: number, from: Addressee): void {
    // Who leaves in a delivery leaves before others join in it.
    const delivery = this.#change((last) => last.attach.length === 0);
    delivery.detach.push(attachment);
    this.#bytes += SESSION_BYTES;
    this.#come(from, delivery);
  }

  end(ended: MessageInitShape<typeof LinkEndedSchema>): void {
    const bytes = toBinary(LinkEndedSchema, create(LinkEndedSchema, ended));
    this.#ended.push(bytes);
    this.#bytes += bytes.length;
  }

  /** A LinkDown. */
  encode(): Uint8Array {
    const writer = new BinaryWriter();
    for (const frame of this.#frames.keys()) writer.tag(DOWN.frames.number, WireType.LengthDelimited).bytes(frame);
    for (const delivery of this.#deliveries) {
      writer.tag(DOWN.deliveries.number, WireType.LengthDelimited).fork();
      writeDelivery(writer, delivery);
      writer.join();
    }
    for (const ended of this.#ended) writer.tag(DOWN.ended.number, WireType.LengthDelimited).bytes(ended);
    return writer.finish();
  }

  #hold(frame: Uint8Array): Held {
    let held = this.#frames.get(frame);
    if (held === undefined) {
      held = { index: this.#frames.size, delivery: undefined };
      this.#frames.set(frame, held);
      this.#bytes += frame.length;
    }
    return held;
  }

  #deliver(frame: number, sent = 0): Delivery {
    const delivery = {
      at: this.#deliveries.length,
      frame,
      sessions: [],
      relays: [],
      sent,
      detach: [],
      attach: [],
    };
    this.#deliveries.push(delivery);
    this.#bytes += DELIVERY_BYTES;
    return delivery;
  }

  /** A delivery without a frame, for who joins and leaves: the last one, where that goes. */
  #change(fits: (last: Delivery) => boolean = () => true): Delivery {
    const last = this.#deliveries.at(-1);
    const goes = last !== undefined && last.sessions.length === 0 && last.relays.length === 0 && fits(last);
    return goes ? last : this.#deliver(0);
  }

  /** What the session gets after this comes in a later delivery. */
  #come(addressee: Addressee, { at }: Delivery): void {
    addressee.lastDelivery = at;
    addressee.lastBatch = this.#number;
  }
}

function writeDelivery(writer: BinaryWriter, { frame, sessions, relays, sent, detach, attach }: Delivery): void {
  if (frame !== 0) writer.tag(DELIVERY.frame.number, WireType.Varint).uint32(frame);
  writeNumbers(writer, DELIVERY.sessions.number, sessions);
  writeNumbers(writer, DELIVERY.relays.number, relays);
  if (sent !== 0) writer.tag(DELIVERY.sent.number, WireType.Varint).uint32(sent);
  writeNumbers(writer, DELIVERY.detach.number, detach);
  for (const { attachment, relay, session, sent: begun } of attach) {
    writer.tag(DELIVERY.attach.number, WireType.LengthDelimited).fork();
    writer.tag(ATTACH.attachment.number, WireType.Varint).uint32(attachment);
    writer.tag(ATTACH.relay.number, WireType.Varint).uint32(relay);
    writer.tag(ATTACH.session.number, WireType.Varint).uint32(session);
    if (begun !== 0) writer.tag(ATTACH.sent.number, WireType.Varint).uint32(begun);
    writer.join();
  }
}

function writeNumbers(writer: BinaryWriter, field: number, numbers: readonly number[]): void {
  if (numbers.length === 0) return;
  writer.tag(field, WireType.LengthDelimited).fork();
  for (const each of numbers) writer.uint32(each);
  writer.join();
}
