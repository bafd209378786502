// Who may do what: every permission, role, kind and status of a room, against a table written by hand.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { authorize, requireRoom } from "../../../src/core/room/permissions.js";
import {
  type Member,
  MemberSchema,
  Permission,
  Role,
  type Room,
  RoomKind,
  RoomSchema,
  RoomStatus,
} from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { identity } from "../use-core.js";

const NOW_MS = 1_790_000_000_000;
const OF_A_NEWER_CONTRACT: number = 99;

// The roles that have it: owner, admin, member, reader. Then whether it can be used at all in a direct room, in an archived one, in an
// inbox, in a room under another and in the tenant's announcements, and whether services have it everywhere.
const TABLE = `
  permission       | roles           | direct | archived | inbox | under | tenant | service
  READ             | own adm mem rea | yes    | yes      | yes   | yes   | yes    | yes
  PUBLISH          | own adm mem     | yes    | no       | yes   | yes   | yes    | yes
  EDIT_OWN         | own adm mem     | yes    | no       | yes   | yes   | yes    | no
  EDIT_ANY         | own adm         | yes    | no       | yes   | yes   | yes    | yes
  DELETE_OWN       | own adm mem     | yes    | no       | yes   | yes   | yes    | no
  DELETE_ANY       | own adm         | yes    | no       | yes   | yes   | yes    | yes
  REACT            | own adm mem     | yes    | no       | yes   | yes   | yes    | no
  PIN              | own adm         | yes    | no       | yes   | yes   | yes    | yes
  INVITE           | own adm         | no     | no       | no    | no    | yes    | no
  REMOVE           | own adm         | no     | no       | no    | no    | yes    | no
  SET_ROLES        | own adm         | no     | no       | no    | no    | yes    | no
  UPDATE_ROOM      | own adm         | yes    | yes      | no    | yes   | yes    | no
  DELETE_ROOM      | own             | yes    | yes      | no    | yes   | no     | no
  SEE_MEMBERS      | own adm mem     | yes    | yes      | yes   | yes   | yes    | yes
  SEE_PRESENCE     | own adm mem     | yes    | yes      | yes   | yes   | no     | yes
  SIGNAL           | own adm mem     | yes    | no       | yes   | yes   | yes    | yes
  START_CALL       | own adm mem     | yes    | yes      | yes   | yes   | yes    | no
  CREATE_SUB_ROOMS | own adm         | no     | no       | no    | no    | no     | yes
`;

interface Row {
  readonly permission: Permission;
  readonly roles: readonly string[];
  readonly direct: boolean;
  readonly archived: boolean;
  readonly inbox: boolean;
  readonly under: boolean;
  readonly tenant: boolean;
  readonly service: boolean;
}

const ROLES: readonly [string, Role][] = [
  ["own", Role.OWNER],
  ["adm", Role.ADMIN],
  ["mem", Role.MEMBER],
  ["rea", Role.READER],
];
/** Every kind of room, a group under another, and the tenant's announcements. */
const KINDS = ["GROUP", "CHANNEL", "INBOX", "DIRECT", "UNDER", "TENANT"] as const;
type Kind = (typeof KINDS)[number];
const STATUSES = [RoomStatus.ACTIVE, RoomStatus.ARCHIVED];

const ROWS: readonly Row[] = TABLE.trim()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [name = "", roles = "", ...cells] = line.split("|").map((cell) => cell.trim());
    const permission = Object.entries(Permission).find(([key]) => key === name)?.[1];
    if (typeof permission !== "number") throw new Error(`there is no permission ${name}`);
    const [direct = false, archived = false, inbox = false, under = false, tenant = false, service = false] = cells.map(
      (cell) => cell === "yes",
    );
    return { permission, roles: roles.split(" "), direct, archived, inbox, under, tenant, service };
  });

function room(kind: Kind = "GROUP", status = RoomStatus.ACTIVE): Room {
  if (kind === "TENANT") return create(RoomSchema, { roomId: "~announcements", kind: RoomKind.CHANNEL, status });
  if (kind !== "UNDER") return create(RoomSchema, { roomId: "lobby", kind: RoomKind[kind], status });
  return create(RoomSchema, { roomId: "lobby~corner", parentId: "lobby", kind: RoomKind.GROUP, status });
}

function member(role: Role, differing: Partial<Pick<Member, "granted" | "denied" | "mutedUntil">> = {}): Member {
  return create(MemberSchema, { userId: "bob", role, ...differing });
}

const BOB = identity("bob");
const ADMINISTRATOR = identity("root", { grants: new Set(["admin"]) });

function judge(...[where, who, as, permission]: [Room, Member | undefined, typeof BOB, Permission]): string {
  try {
    authorize(where, who, as, permission, NOW_MS);
    return "may";
  } catch (refusal) {
    if (!(refusal instanceof TrunklineError)) throw refusal;
    return ErrorCode[refusal.code] ?? "";
  }
}

/** Everything that is not as the table says, in words. */
function differences(expected: (row: Row, kind: Kind, status: RoomStatus, role: string) => string, as = BOB) {
  return (who: (role: Role, permission: Permission) => Member | undefined): string[] =>
    ROWS.flatMap((row) =>
      KINDS.flatMap((kind) =>
        STATUSES.flatMap((status) =>
          ROLES.flatMap(([name, role]) => {
            const found = judge(room(kind, status), who(role, row.permission), as, row.permission);
            const wanted = expected(row, kind, status, name);
            const where = `${kind}, ${RoomStatus[status]}, ${name}, ${Permission[row.permission]}`;
            return found === wanted ? [] : [`${where}: ${found} instead of ${wanted}`];
          }),
        ),
      ),
    );
}

/** Whether the room takes it from anybody. */
function taken(row: Row, kind: Kind, status: RoomStatus): boolean {
  if (!row.direct && kind === "DIRECT") return false;
  if (!row.inbox && kind === "INBOX") return false;
  if (!row.under && kind === "UNDER") return false;
  if (!row.tenant && kind === "TENANT") return false;
  return row.archived || status !== RoomStatus.ARCHIVED;
}

describe("authorize", () => {
  it("has a row for every permission", () => {
    const all = Object.values(Permission).filter((value) => typeof value === "number" && value > 0);
    expect(ROWS.map(({ permission }) => permission)).toEqual(all);
  });

  it("gives each role what the table says, in every kind and status of room", () => {
    const found = differences((row, kind, status, role) =>
      taken(row, kind, status) && row.roles.includes(role) ? "may" : "PERMISSION_DENIED",
    );
    expect(found((role) => member(role))).toEqual([]);
  });

  it("gives a member what was granted beyond its role", () => {
    const found = differences((row, kind, status) => (taken(row, kind, status) ? "may" : "PERMISSION_DENIED"));
    expect(found((role, permission) => member(role, { granted: [permission] }))).toEqual([]);
  });

  it("takes from a member what was denied, also where it was granted too", () => {
    const found = differences(() => "PERMISSION_DENIED");
    expect(found((role, permission) => member(role, { denied: [permission] }))).toEqual([]);
    expect(found((role, permission) => member(role, { denied: [permission], granted: [permission] }))).toEqual([]);
  });

  it("lets a muted member do everything but publish and send signals", () => {
    const mutedUntil = timestampFromMs(NOW_MS + 1);
    const spoken = new Set([Permission.PUBLISH, Permission.SIGNAL]);
    const found = differences((row, kind, status, role) =>
      taken(row, kind, status) && row.roles.includes(role) && !spoken.has(row.permission) ? "may" : "PERMISSION_DENIED",
    );
    expect(found((role) => member(role, { mutedUntil }))).toEqual([]);
  });

  it("lets a member publish from the millisecond on at which its mute ends", () => {
    const at = (ms: number) => member(Role.MEMBER, { mutedUntil: timestampFromMs(ms) });
    expect(judge(room(), at(NOW_MS), BOB, Permission.PUBLISH)).toBe("may");
    expect(() => authorize(room(), at(NOW_MS + 250), BOB, Permission.PUBLISH, NOW_MS)).toThrow(
      expect.objectContaining({ code: ErrorCode.PERMISSION_DENIED, retryAfterMs: 250 }),
    );
  });

  it("refuses whoever is no member, with a code of its own where membership would help", () => {
    const found = differences((row, kind, status) => (taken(row, kind, status) ? "NOT_A_MEMBER" : "PERMISSION_DENIED"));
    expect(found(() => undefined)).toEqual([]);
  });

  it("lets a tenant's administrator do whatever the room takes, member or not, denied or not", () => {
    const found = differences(
      (row, kind, status) => (taken(row, kind, status) ? "may" : "PERMISSION_DENIED"),
      ADMINISTRATOR,
    );
    expect(found(() => undefined)).toEqual([]);
    expect(found((role) => member(role))).toEqual([]);
    expect(found((_, permission) => member(Role.READER, { denied: [permission] }))).toEqual([]);
    expect(found(() => member(Role.READER, { mutedUntil: timestampFromMs(NOW_MS + 1) }))).toEqual([]);
  });

  it("lets a tenant's service do what the table says, member or not, denied or not, muted or not", () => {
    const service = identity("bot", { grants: new Set(["service"]) });
    const expected = (row: Row, kind: Kind, status: RoomStatus) => taken(row, kind, status) && row.service;
    const strangers = differences((row, kind, status) => {
      if (!taken(row, kind, status)) return "PERMISSION_DENIED";
      return expected(row, kind, status) ? "may" : "NOT_A_MEMBER";
    }, service);
    const members = differences(
      (row, kind, status) => (expected(row, kind, status) ? "may" : "PERMISSION_DENIED"),
      service,
    );
    expect(strangers(() => undefined)).toEqual([]);
    expect(members((_, permission) => member(Role.READER, { denied: [permission] }))).toEqual([]);
    const muted = member(Role.READER, { mutedUntil: timestampFromMs(NOW_MS + 1) });
    expect(judge(room(), muted, service, Permission.PUBLISH)).toBe("may");
  });

  it("gives nothing for other grants, nor for a role of a newer contract", () => {
    const other = identity("bot", { grants: new Set(["services"]) });
    expect(judge(room(), undefined, other, Permission.READ)).toBe("NOT_A_MEMBER");
    expect(judge(room(), member(Role.UNSPECIFIED), BOB, Permission.READ)).toBe("PERMISSION_DENIED");
    expect(judge(room(), member(OF_A_NEWER_CONTRACT), BOB, Permission.READ)).toBe("PERMISSION_DENIED");
  });

  it("names the permission that is missing", () => {
    expect(() => authorize(room(), member(Role.READER), BOB, Permission.PIN, NOW_MS)).toThrow(
      expect.objectContaining({ code: ErrorCode.PERMISSION_DENIED, details: { permission: "PIN" } }),
    );
  });
});

describe("requireRoom", () => {
  it("takes a deleted room for one that never was", () => {
    for (const absent of [undefined, room("GROUP", RoomStatus.DELETED)]) {
      expect(() => requireRoom(absent)).toThrow(expect.objectContaining({ code: ErrorCode.NOT_FOUND }));
    }
    expect(requireRoom(room("GROUP", RoomStatus.ARCHIVED)).roomId).toBe("lobby");
  });
});
