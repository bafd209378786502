// The load of `archive`: a shard whose log holds so many events that the archive has none of, taken over and archived by the code of a node.

import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { connectMongo } from "../../src/adapters/cluster/mongo.js";
import { MongoArchive } from "../../src/adapters/cluster/mongo-archive.js";
import { openEventLog } from "../../src/adapters/cluster/open-event-log.js";
import { Archiver } from "../../src/core/archive/archiver.js";
import { DEFAULT_LIMITS } from "../../src/core/limit/limits.js";
import { TenantLimits } from "../../src/core/limit/tenants.js";
import { Actors } from "../../src/core/room/actors.js";
import { type Recovered, recover } from "../../src/core/room/recovery.js";
import { Telemetry } from "../../src/core/telemetry.js";
import { type RoomEvent, RoomEventSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { createSystemClock } from "../../src/ops/clock.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import { type NewRecord, recordBytes } from "../../src/ports/event-log.js";
import { type RoomRef, roomRef } from "../../src/ports/room-ref.js";
import { cpuMicros } from "../process/proc.js";
import { messageText } from "../wire/message-text.js";

export interface ArchiveInput {
  readonly brokers: string;
  readonly mongoUrl: string;
  /** MongoDB's process; undefined: it is not known. */
  readonly mongoPid: number | undefined;
  /** Events that are not archived; infinite: as many as a tail may have. */
  readonly events: number;
  readonly rooms: number;
}

export interface ArchiveOutcome {
  readonly events: number;
  readonly mib: number;
  /** To write them into the log, batch after batch. */
  readonly appendMs: number;
  /** To open the shard: a barrier, and the tail read. */
  readonly openMs: number;
  /** To fold the tail. */
  readonly recoverMs: number;
  /** From then on, until the archive has them all. */
  readonly archiveMs: number;
  /** CPU while they are archived. */
  readonly ownCpuUsPerEvent: number;
  readonly mongoCpuUsPerEvent: number;
}

const SHARD = 0;
const BATCH_EVENTS = 500;
const SENDERS = 5;
/** What a take-over reads at most is 64 MiB; a little less is read for certain. */
const MOST_BYTES = 63 * 1024 * 1024;

export async function runArchive(input: ArchiveInput): Promise<ArchiveOutcome> {
  const { brokers, mongoUrl, mongoPid } = input;
  const name = `bench-${randomUUID()}`;
  const clock = createSystemClock();
  const mongo = await connectMongo({ url: mongoUrl, database: name, shards: 1 });
  try {
    const archive = new MongoArchive(mongo.collections);
    const open = () =>
      openEventLog({
        brokers: brokers.split(","),
        topicPrefix: name,
        shards: 1,
        replication: 1,
        allowUnsafe: true,
        node: "bench",
        archived: (shard) => archive.archived(shard),
        clock,
      });
    const former = await open();
    const appendedAt = performance.now();
    const { events, bytes } = await append(input, former);
    const appendMs = performance.now() - appendedAt;
    former.close();

    const log = await open();
    const openedAt = performance.now();
    const { end, tail } = await log.open(SHARD);
    const foldedAt = performance.now();
    const deps = { archive, clock, telemetry: new Telemetry(), limits: DEFAULT_LIMITS };
    const actors = new Actors({ ...deps, tenants: new TenantLimits(DEFAULT_LIMITS, new Map()) });
    const recovered = await recover({ tail, end, isOver: () => false }, actors, archive);
    const readyAt = performance.now();
    if (tail.length !== events) throw new Error(`${tail.length} of ${events} events were read`);

    const before = [process.pid, mongoPid].map(cpuOf);
    await archiveAll(new Archiver(SHARD, deps), recovered);
    const archivedAt = performance.now();
    const [own = Number.NaN, ofMongo = Number.NaN] = [process.pid, mongoPid].map(
      (pid, at) => (cpuOf(pid) - (before[at] ?? 0)) / events,
    );
    if ((await archive.archived(SHARD)) !== end) throw new Error("not everything was archived");
    log.close();
    return {
      events,
      mib: bytes / 1024 ** 2,
      appendMs,
      openMs: foldedAt - openedAt,
      recoverMs: readyAt - foldedAt,
      archiveMs: archivedAt - readyAt,
      ownCpuUsPerEvent: own,
      mongoCpuUsPerEvent: ofMongo,
    };
  } finally {
    await mongo.collections.events.db.dropDatabase();
    await mongo.close();
  }
}

type Log = Awaited<ReturnType<typeof openEventLog>>;

async function append(
  { events: most, rooms }: ArchiveInput,
  log: Log,
): Promise<{ readonly events: number; readonly bytes: number }> {
  const refs = Array.from({ length: rooms }, (_, at) => roomRef("bench", `room-${at}`));
  let { end } = await log.open(SHARD);
  let bytes = 0;
  let events = 0;
  while (events < most && bytes < MOST_BYTES) {
    const records: NewRecord[] = [];
    for (; records.length < BATCH_EVENTS && events < most; events++) {
      const ref = refs[events % rooms];
      if (ref === undefined) throw new Error("there is no room");
      records.push(eventOf(ref, Math.floor(events / rooms) + 1, events));
    }
    bytes += records.reduce((sum, record) => sum + recordBytes(record), 0);
    const outcome = await log.append(SHARD, end, { records, changes: NO_CHANGES });
    if (outcome.status !== "durable") throw new Error("somebody else writes to the log");
    ({ end } = outcome);
  }
  return { events, bytes };
}

/** The room's creation, then messages. */
function eventOf(ref: RoomRef, seq: number, n: number): NewRecord {
  const sender = `user-${n % SENDERS}`;
  const kind: RoomEvent["kind"] = create(
    RoomEventSchema,
    seq === 1
      ? {
          kind: {
            case: "roomCreated",
            value: {
              room: { roomId: ref.roomId, status: RoomStatus.ACTIVE },
              members: Array.from({ length: SENDERS }, (_, at) => ({ userId: `user-${at}` })),
            },
          },
        }
      : {
          kind: {
            case: "messageCreated",
            value: { messageIndex: seq - 1, body: { kind: { case: "text", value: messageText(n) } } },
          },
        },
  ).kind;
  const tag = (0x9e3779b1 * seq) >>> 0;
  const event = create(RoomEventSchema, {
    eventId: `${ref.roomId}-${seq}`,
    position: { seq, tag },
    createdAt: timestampFromMs(Date.now()),
    actor: { userId: sender, deviceId: "device", displayName: sender },
    kind,
  });
  return { room: ref, event: new EncodedEvent(seq, tag, toBinary(RoomEventSchema, event), event) };
}

function archiveAll(archiver: Archiver, recovered: readonly Recovered[]): Promise<void> {
  return new Promise((resolve) => {
    for (const [at, { end, batch }] of recovered.entries()) {
      const isLast = at === recovered.length - 1;
      archiver.push(end, batch.seal().changes, batch.bytes, isLast ? resolve : undefined);
    }
  });
}

function cpuOf(pid: number | undefined): number {
  return pid === undefined ? Number.NaN : cpuMicros(pid);
}

const NO_CHANGES = { events: [], rooms: [], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [] };
