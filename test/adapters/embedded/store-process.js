// A process that uses a store, for tests that kill it. Usage: node store-process.js MODE DIRECTORY. Runs from the build.
//
// hold: opens the store, says "open", stays. append: appends to all shards at full speed, and says "SHARD END" for each
// append that is durable. fill: appends until that fails, says what it sees then as JSON, and ends.

import { create } from "@bufbuild/protobuf";
import { EmbeddedStore } from "../../../dist/src/adapters/embedded/lmdb.js";
import { RoomDocumentSchema } from "../../../dist/src/gen/trunkline/store/v1/documents_pb.js";
import { EncodedEvent } from "../../../dist/src/ports/encoded-event.js";
import { roomRef } from "../../../dist/src/ports/room-ref.js";

const [mode, directory] = process.argv.slice(2);
const clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: () => ({ cancel() {} }),
  soon: (action) => setImmediate(action),
};

/** Events `from` to `to` of the room of a shard, with the room's document after them. */
function batch(shard, from, to, bytes) {
  const room = roomRef("acme", `room-${shard}`);
  const events = [];
  for (let seq = from; seq <= to; seq++) {
    const event = new EncodedEvent(seq, seq, Buffer.from(`event ${seq} ${"x".repeat(bytes)}`));
    events.push({ room, event, eventId: `e-${seq}`, createdAtMs: Date.now(), messageIndex: seq });
  }
  const document = create(RoomDocumentSchema, { tenantId: "acme", room: { roomId: room.roomId }, appliedSeq: to });
  return {
    records: events.map(({ event }) => ({ room, event })),
    changes: { events, rooms: [{ room, document }], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [] },
  };
}

async function appendForever(log, shard) {
  let { end } = await log.open(shard);
  for (let round = 0; ; round++) {
    // 1 to 257 events: also more than lmdb takes in before it begins to write.
    const outcome = await log.append(shard, end, batch(shard, end + 1, end + 1 + (round % 5) ** 4, 100));
    if (outcome.status !== "durable") throw new Error("displaced");
    end = outcome.end;
    process.stdout.write(`${shard} ${end}\n`);
  }
}

async function fill(store) {
  // Without a listener the signal that comes with the refused write would end the process.
  process.on("SIGXFSZ", () => {});
  let { end } = await store.log.open(0);
  for (;;) {
    try {
      ({ end } = await store.log.append(0, end, batch(0, end + 1, end + 20, 1_000)));
    } catch (error) {
      const opened = await store.log.open(0);
      const room = await store.archive.room(roomRef("acme", "room-0"));
      const seen = { durable: end, code: error.code, cause: String(error.cause), end: opened.end };
      process.stdout.write(`${JSON.stringify({ ...seen, appliedSeq: room?.appliedSeq })}\n`);
      return;
    }
  }
}

const store = await EmbeddedStore.open({ directory, shards: 4, clock });
if (mode === "append") for (let shard = 0; shard < 4; shard++) void appendForever(store.log, shard);
if (mode === "fill") await fill(store).then(() => store.close());
if (mode === "hold") {
  process.stdout.write("open\n");
  process.stdin.resume();
}
