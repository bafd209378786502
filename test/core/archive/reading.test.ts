// An archive whose rooms are read by way of their owner, here or on another node, keeps every promise of an archive.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Archiver } from "../../../src/core/archive/archiver.js";
import { OwnedReading } from "../../../src/core/archive/owned-reading.js";
import { answerRead, PeerReading } from "../../../src/core/archive/peer-reading.js";
import type { RoomReading } from "../../../src/core/archive/room-reading.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { ReadAnswerSchema, ReadSchema } from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import type { Archive, ArchiveChanges } from "../../../src/ports/archive.js";
import { describeArchive } from "../../contract/archive.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** The archive, with a room's reads answered by `reading`. */
function readBy(archive: Archive, reading: RoomReading, changes: Partial<Archive> = {}): Archive {
  const methods: RoomReading = {
    room: (room) => reading.room(room),
    member: (...asked) => reading.member(...asked),
    members: (...asked) => reading.members(...asked),
    subRooms: (...asked) => reading.subRooms(...asked),
    events: (...asked) => reading.events(...asked),
    seqOf: (...asked) => reading.seqOf(...asked),
    message: (...asked) => reading.message(...asked),
    messages: (...asked) => reading.messages(...asked),
    hidden: (...asked) => reading.hidden(...asked),
    sentBy: (...asked) => reading.sentBy(...asked),
  };
  return new Proxy(archive, {
    get(target, name: keyof Archive) {
      const own = changes[name] ?? (name in methods ? methods[name as keyof RoomReading] : undefined);
      if (own !== undefined) return own;
      const value: unknown = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describeArchive("a room's owner on another node", async () => {
  const { archive } = new MemoryEngine();
  const reading = new PeerReading(async (_, read) => {
    const heard = fromBinary(ReadSchema, toBinary(ReadSchema, read));
    return fromBinary(ReadAnswerSchema, toBinary(ReadAnswerSchema, await answerRead(archive, heard)));
  });
  return { archive: readBy(archive, reading), shards: 4, close: async () => {} };
});

describeArchive("a room's owner that writes it behind the log", async () => {
  const { archive } = new MemoryEngine({ archivesOnAppend: false });
  const deps = { archive, clock: new StoppedClock(), telemetry: new Telemetry(), gatherMs: 0 };
  const archivers = Array.from({ length: 4 }, (_, shard) => new Archiver(shard, deps));
  const [first] = archivers;
  if (first === undefined) throw new Error("there are four shards");
  const ends = archivers.map(() => 0);
  const apply = async (shard: number, end: number, changes: ArchiveChanges): Promise<void> => {
    // A repeat: whoever owns the shard next goes on from the watermark.
    const repeated = end <= (ends[shard] ?? 0) && changes.events.length > 0;
    ends[shard] = Math.max(ends[shard] ?? 0, end);
    if (!repeated) archivers[shard]?.push(end, changes, 1);
    // Others are read by nobody here.
    if (repeated || shard > 0) await archivers[shard]?.drained();
    if (repeated) await archive.apply(shard, end, changes);
  };
  const drained =
    <A extends unknown[], T>(method: (...asked: A) => T) =>
    async (...asked: A): Promise<Awaited<T>> => {
      await first.drained();
      return await method.apply(archive, asked);
    };
  const { roomsOf, expired, idleLooks, moveIdleLooks, rooms, archived, purge, dismiss, putMarkers } = archive;
  return {
    archive: readBy(archive, new OwnedReading(archive, first), {
      apply,
      roomsOf: drained(roomsOf),
      expired: drained(expired),
      idleLooks: drained(idleLooks),
      moveIdleLooks: drained(moveIdleLooks),
      rooms: drained(rooms),
      archived: drained(archived),
      purge: drained(purge),
      dismiss: drained(dismiss),
      putMarkers: drained(putMarkers),
    }),
    shards: 4,
    close: async () => {},
  };
});
