// What a node answers to others: whatever they ask, an answer or a refusal that says why.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  LookSchema,
  PassFramesSchema,
  type PeerRequest,
  PeerRequestSchema,
  ReadSchema,
  SubmitSchema,
} from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { useCluster } from "../use-cluster.js";
import { useCore } from "../use-core.js";

type Question = PeerRequest["request"];

const CALLER = { tenantId: "acme", userId: "ann", displayName: "Ann", deviceId: "phone" };
const WORDS = { body: { kind: { case: "text" as const, value: "hello" } } };

/** A room of the first node, which ann has made, and what it refuses. */
async function useRoom() {
  const cluster = await useCluster();
  const { core } = cluster.node(0);
  const roomId = cluster.roomIdOf(0);
  await cluster.node(0).room(await cluster.node(0).connect("ann"), roomId);
  const room = { tenantId: "acme", roomId };
  const refusal = async (question: Question): Promise<TrunklineError> => {
    const refused: unknown = await core.answerPeer(question).then(
      (answer) => answer,
      (error: unknown) => error,
    );
    if (!(refused instanceof TrunklineError)) throw new Error(`answered with ${JSON.stringify(refused)}`);
    return refused;
  };
  return { cluster, core, room, refusal };
}

function look(value: Parameters<typeof create<typeof LookSchema>>[1]): Question {
  return { case: "look", value: create(LookSchema, value) };
}

function read(value: Parameters<typeof create<typeof ReadSchema>>[1]): Question {
  return { case: "read", value: create(ReadSchema, value) };
}

function submit(value: Parameters<typeof create<typeof SubmitSchema>>[1]): Question {
  return { case: "submit", value: create(SubmitSchema, value) };
}

describe("a node that is asked by another", () => {
  it("answers for the rooms that it owns", async () => {
    const { core, room } = await useRoom();
    const looked = await core.answerPeer(look({ room, userIds: ["ann", "eve"] }));
    expect(looked).toMatchObject({
      case: "looked",
      value: { room: { room: { roomId: room.roomId } }, members: [{ member: { userId: "ann" } }], membersSeq: 1 },
    });
    const document = await core.answerPeer(read({ room, what: { case: "document", value: {} } }));
    expect(document).toMatchObject({ case: "read", value: { room: { appliedSeq: 1 } } });
    const command = { key: "k", attempt: 1, kind: { case: "publish" as const, value: WORDS } };
    const submitted = await core.answerPeer(submit({ room, caller: CALLER, command }));
    expect(submitted).toMatchObject({ case: "submitted", value: { outcome: { seq: 2, duplicate: false } } });
  });

  it("says of others that they are not its own, and does nothing", async () => {
    const { cluster, refusal } = await useRoom();
    const room = { tenantId: "acme", roomId: cluster.roomIdOf(1) };
    const command = { key: "k", attempt: 1, kind: { case: "join" as const, value: {} } };
    for (const question of [
      look({ room }),
      read({ room, what: { case: "document", value: {} } }),
      submit({ room, caller: CALLER, command }),
    ]) {
      expect(await refusal(question)).toMatchObject({ code: ErrorCode.UNAVAILABLE, details: { owner: "another" } });
    }
  });

  it("names the field of what is not well formed", async () => {
    const { room, refusal } = await useRoom();
    const join = { key: "k", attempt: 1, kind: { case: "join" as const, value: {} } };
    const cases: readonly (readonly [string, Question])[] = [
      ["look.room", look({})],
      ["look.room.room_id", look({ room: { ...room, roomId: "a/b" } })],
      ["look.room.tenant_id", look({ room: { ...room, tenantId: "" } })],
      ["look.user_ids[1]", look({ room, userIds: ["ann", ""] })],
      ["look.user_ids", look({ room, userIds: Array.from({ length: 10_001 }, () => "ann") })],
      ["read.room", read({ what: { case: "document", value: {} } })],
      ["read.events.limit", read({ room, what: { case: "events", value: { from: 1, to: 9, limit: 4_000_000_000 } } })],
      ["read.seq.eventId", read({ room, what: { case: "seq", value: { eventId: "e".repeat(200) } } })],
      ["caller", submit({ room, command: join })],
      ["submit.caller.tenant_id", submit({ room, caller: { ...CALLER, tenantId: "other" }, command: join })],
      ["submit.caller.user_id", submit({ room, caller: { ...CALLER, userId: "a b" }, command: join })],
      ["command", submit({ room, caller: CALLER })],
      [
        "pass_frames.session_key",
        { case: "passFrames", value: create(PassFramesSchema, { sessionKey: "k".repeat(129) }) },
      ],
      ["submit.command.key", submit({ room, caller: CALLER, command: { ...join, key: "" } })],
    ];
    for (const [field, question] of cases) {
      expect(await refusal(question), field).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, field });
    }
  });

  it("refuses for now what only a newer node knows", async () => {
    const { room, refusal } = await useRoom();
    const tell = { case: "tell" as const, value: { userId: "bob", event: {} } };
    const cases: readonly (readonly [string, Question])[] = [
      ["request", { case: undefined }],
      ["read.what", read({ room })],
      ["submit.command", submit({ room, caller: CALLER, command: { key: "k", attempt: 1 } })],
      ["submit.command.tell.event", submit({ room, caller: CALLER, command: { key: "k", attempt: 1, kind: tell } })],
    ];
    for (const [unknown, question] of cases) {
      const refused = { code: ErrorCode.UNAVAILABLE, retryAfterMs: 1_000, details: { unknown } };
      expect(await refusal(question), unknown).toMatchObject(refused);
    }
  });

  it("refuses or answers whatever bytes come, and goes on", async () => {
    const { core, room } = await useRoom();
    const whole = toBinary(
      PeerRequestSchema,
      create(PeerRequestSchema, {
        id: 1,
        request: submit({
          room,
          caller: CALLER,
          command: { key: "k", attempt: 1, kind: { case: "publish", value: WORDS } },
        }),
      }),
    );
    const change = fc.record({ at: fc.nat({ max: whole.length - 1 }), to: fc.nat({ max: 255 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = whole.slice();
        for (const { at, to } of changes) bytes[at] = to;
        let request: PeerRequest;
        try {
          request = fromBinary(PeerRequestSchema, bytes);
        } catch {
          return;
        }
        const came: unknown = await core.answerPeer(request.request).catch((error: unknown) => error);
        if (came instanceof Error) expect(came).toBeInstanceOf(TrunklineError);
      }),
      { numRuns: 2_000 },
    );
    expect(await core.answerPeer(look({ room }))).toMatchObject({ case: "looked" });
  });

  it("is alone where there is no cluster, and says so", async () => {
    const { core } = await useCore();
    const asked = core.answerPeer(look({ room: { tenantId: "acme", roomId: "r" } }));
    await expect(asked).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
