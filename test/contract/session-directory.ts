// What every session directory must do: the guarantees of src/ports/session-directory.ts, as tests.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { AddressClass, DeviceKind } from "../../src/gen/trunkline/v1/message_pb.js";
import { LastSeenVisibility, PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import type {
  LocalSession,
  PresenceChoice,
  SessionDirectory,
  UserPresence,
} from "../../src/ports/session-directory.js";

const { ONLINE, OFFLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;

export interface SessionDirectorySubject {
  /** A node's. */
  readonly here: SessionDirectory;
  /** Another node's; the same in an engine of one process. */
  readonly there: SessionDirectory;
  readonly graceMs: number;
  /** Wall clock, in milliseconds. */
  now(): number;
  /** So much time passes, and what it brings about happens. */
  pass(ms: number): Promise<void>;
  /** Both nodes leave in order, and new ones open the same store. */
  reopen(): Promise<SessionDirectorySubject>;
  close(): Promise<void>;
}

/** Nothing is wrong with the engine during these tests: watches must not lose calls, which the port may otherwise do. */
export function describeSessionDirectory(name: string, factory: () => Promise<SessionDirectorySubject>): void {
  describe(`the session directory of ${name}`, () => {
    const using = (test: (scene: Scene) => Promise<void>) => async () => {
      const scene = new Scene(await factory());
      try {
        await test(scene);
      } finally {
        await scene.subject.close();
      }
    };

    describe("presences", () => {
      it(
        "are told by the node of a session at once and by others soon, in the order asked for",
        using(async ({ subject: { here, there }, tenantId, session, soon }) => {
          here.connect(session("ann"));
          const asked = ["bob", "ann", "bob", "ann"];
          const expected = [OFFLINE, ONLINE, OFFLINE, ONLINE];
          const presences = await here.presences(tenantId, asked);
          expect(presences.map(({ userId }) => userId)).toEqual(asked);
          expect(presences.map(({ status }) => status)).toEqual(expected);
          await soon(async () => (await there.presences(tenantId, asked)).map(({ status }) => status), expected);
          expect(await here.presences(tenantId, [])).toEqual([]);
        }),
      );

      it(
        "are of one tenant",
        using(async ({ subject: { here }, session }) => {
          here.connect(session("ann"));
          expect((await here.presences("nobody's", ["ann"]))[0]).toMatchObject({ userId: "ann", status: OFFLINE });
          expect(await here.countOnline("nobody's", ["ann"])).toBe(0);
          expect(await here.online("nobody's", "", 10)).toEqual([]);
          expect(await here.sessions("nobody's", "ann")).toEqual([]);
        }),
      );

      it(
        "are those of the strongest session, on whatever node: invisible, do not disturb, online, away",
        using(async ({ subject: { here, there }, session, status, soon }) => {
          const [desk, phone] = [session("ann", "desk"), session("ann", "phone")];
          here.connect(desk);
          there.connect(phone);
          const both = async (expected: PresenceStatus): Promise<void> => {
            await soon(() => status(here, "ann"), expected);
            await soon(() => status(there, "ann"), expected);
          };
          here.choose(desk, of(AWAY));
          await both(ONLINE);
          there.choose(phone, of(AWAY));
          await both(AWAY);
          there.choose(phone, of(DO_NOT_DISTURB));
          here.choose(desk, of(ONLINE));
          await both(DO_NOT_DISTURB);
          here.choose(desk, of(INVISIBLE));
          await both(OFFLINE);
          here.disconnect(desk, false);
          await both(DO_NOT_DISTURB);
        }),
      );

      it(
        "are among equals those of the session set last, with its text",
        using(async ({ subject: { here, there }, session, presence, soon, settle }) => {
          const [desk, phone] = [session("ann", "desk"), session("ann", "phone")];
          here.connect(desk);
          there.connect(phone);
          const text = async () => (await presence(here, "ann")).text;
          here.choose(desk, of(AWAY, "first"));
          // Between nodes, what arrives first is first.
          await settle();
          there.choose(phone, of(AWAY, "second"));
          await soon(text, "second");
          here.choose(desk, of(AWAY, "third"));
          await soon(async () => (await presence(there, "ann")).text, "third");
          expect(await text()).toBe("third");
        }),
      );

      it(
        "never show an invisible user, whatever is asked",
        using(async ({ subject: { here, there }, tenantId, session, presence, soon }) => {
          const desk = session("ann");
          here.connect(desk);
          here.choose(desk, of(INVISIBLE, "hidden"));
          expect(await presence(here, "ann")).toMatchObject({ status: OFFLINE, text: "", untilMs: undefined });
          for (const directory of [here, there]) {
            await soon(() => directory.countOnline(tenantId, ["ann"]), 0);
            await soon(() => directory.online(tenantId, "", 10), []);
          }
          expect(await here.sessions(tenantId, "ann")).toHaveLength(1);
        }),
      );
    });

    describe("what was set", () => {
      it(
        "is that of the last call, in the order of a node's calls",
        using(async ({ subject: { here, there }, session, presence, soon }) => {
          const desk = session("ann");
          here.connect(desk);
          for (let n = 1; n <= 20; n++) here.choose(desk, of(n % 2 === 0 ? AWAY : DO_NOT_DISTURB, `${n}`));
          expect(await presence(here, "ann")).toMatchObject({ status: AWAY, text: "20" });
          await soon(async () => (await presence(there, "ann")).text, "20");
        }),
      );

      it(
        "ends by itself, and is then online without a text",
        using(async ({ subject, session, presence, watch, soon }) => {
          const { here, there } = subject;
          const desk = session("ann");
          here.connect(desk);
          const untilMs = subject.now() + 2_000;
          here.choose(desk, of(AWAY, "lunch", untilMs));
          expect(await presence(here, "ann")).toMatchObject({ status: AWAY, text: "lunch", untilMs });
          const watching = await watch(there, "ann");
          await subject.pass(2_000);
          await watching.shows(ONLINE);
          await soon(() => presence(here, "ann"), { status: ONLINE, text: "", untilMs: undefined });
        }),
      );

      it(
        "is set on every live session of the user, on whatever node, and on none that is lost",
        using(async ({ subject: { here, there }, tenantId, session, status, soon }) => {
          const [desk, phone, pad] = [session("ann", "desk"), session("ann", "phone"), session("ann", "pad")];
          here.connect(desk);
          there.connect(phone);
          here.connect(pad);
          here.disconnect(pad, true);
          await soon(async () => (await here.sessions(tenantId, "ann")).length, 2);
          expect(await here.chooseAll(tenantId, "ann", of(AWAY))).toBe(2);
          // What was lost shows online for its grace.
          await soon(() => status(here, "ann"), ONLINE);
          here.connect(session("ann", "pad", 2));
          here.choose(desk, of(DO_NOT_DISTURB));
          here.disconnect(desk, false);
          await soon(() => status(there, "ann"), ONLINE);
          expect(await here.chooseAll(tenantId, "nobody", of(AWAY))).toBe(0);
          expect(await status(here, "nobody")).toBe(OFFLINE);
        }),
      );

      it(
        "does nothing to a session that is not there",
        using(async ({ subject: { here }, session, status }) => {
          const [gone, never] = [session("ann"), session("bob")];
          here.connect(gone);
          here.disconnect(gone, false);
          for (const each of [gone, never]) {
            here.choose(each, of(AWAY));
            here.disconnect(each, true);
          }
          expect(await status(here, "ann")).toBe(OFFLINE);
          expect(await status(here, "bob")).toBe(OFFLINE);
        }),
      );
    });

    describe("a session that ends", () => {
      it(
        "in order, counts no more, and what was set on it is forgotten",
        using(async ({ subject: { here, there }, session, status, soon, watch }) => {
          const desk = session("ann");
          here.connect(desk);
          here.choose(desk, of(DO_NOT_DISTURB));
          const watching = await watch(there, "ann");
          here.disconnect(desk, false);
          expect(await status(here, "ann")).toBe(OFFLINE);
          await watching.shows(OFFLINE);
          here.disconnect(desk, true);
          here.connect(session("ann", "device", 2));
          await soon(() => status(there, "ann"), ONLINE);
        }),
      );

      it(
        "without a goodbye, counts with what was set on it until its grace is over",
        using(async ({ subject, session, status, soon, watch, tenantId }) => {
          const { here, there, graceMs } = subject;
          const desk = session("ann");
          here.connect(desk);
          here.choose(desk, of(DO_NOT_DISTURB));
          await soon(() => status(there, "ann"), DO_NOT_DISTURB);
          const watching = await watch(there, "ann");
          here.disconnect(desk, true);
          here.disconnect(desk, false);
          await subject.pass(graceMs / 2);
          for (const directory of [here, there]) {
            expect(await status(directory, "ann")).toBe(DO_NOT_DISTURB);
            expect(await directory.countOnline(tenantId, ["ann"])).toBe(1);
            await soon(() => directory.sessions(tenantId, "ann"), []);
          }
          await subject.pass(graceMs);
          await watching.shows(OFFLINE);
          expect(await status(here, "ann")).toBe(OFFLINE);
        }),
      );

      it(
        "and whose device is back within the grace, on whatever node, was never gone and goes on with what was set",
        using(async ({ subject, session, status, soon, watch }) => {
          const { here, there, graceMs } = subject;
          const first = session("ann", "desk");
          here.connect(first);
          here.choose(first, of(AWAY));
          await soon(() => status(there, "ann"), AWAY);
          const watching = await watch(there, "ann");
          here.disconnect(first, true);
          await subject.pass(graceMs / 2);
          const second = session("ann", "desk", 2);
          there.connect(second);
          await subject.pass(2 * graceMs);
          await soon(() => status(here, "ann"), AWAY);
          expect(watching.seen).not.toContain(OFFLINE);
          expect(watching.seen).not.toContain(ONLINE);
          there.disconnect(second, false);
          await soon(() => status(here, "ann"), OFFLINE);
        }),
      );

      it(
        "has no grace while another session of its device is live",
        using(async ({ subject: { here, there }, session, status, soon }) => {
          const [first, second] = [session("ann", "desk"), session("ann", "desk", 2)];
          here.connect(first);
          there.connect(second);
          await soon(() => first.told, ["REPLACED"]);
          here.disconnect(first, true);
          there.disconnect(second, false);
          await soon(() => status(there, "ann"), OFFLINE);
          await soon(() => status(here, "ann"), OFFLINE);
        }),
      );
    });

    describe("of two live sessions of a device", () => {
      it(
        "the one of the higher attempt stays, whichever comes first, and the other is told once",
        using(async ({ subject: { here, there }, session, soon, settle }) => {
          const [older, newer, late] = [
            session("ann", "desk", 7),
            session("ann", "desk", 9),
            session("ann", "desk", 8),
          ];
          const bystander = session("ann", "phone", 1);
          here.connect(bystander);
          here.connect(older);
          there.connect(newer);
          await soon(() => older.told, ["REPLACED"]);
          here.disconnect(older, false);
          here.connect(late);
          await soon(() => late.told, ["REPLACED"]);
          here.disconnect(late, false);
          await settle();
          expect([older.told, newer.told, late.told, bystander.told]).toEqual([["REPLACED"], [], ["REPLACED"], []]);
        }),
      );

      it(
        "and of one attempt, the one that connected later stays",
        using(async ({ subject, session, soon }) => {
          const { here, there } = subject;
          const first = session("ann", "desk", 1);
          here.connect(first);
          await subject.pass(1);
          const second = session("ann", "desk", 1);
          there.connect(second);
          await soon(() => first.told, ["REPLACED"]);
          expect(second.told).toEqual([]);
        }),
      );

      it(
        "the newer goes on with what was set on the older, and nobody sees the change",
        using(async ({ subject: { here, there }, session, status, soon, watch, settle }) => {
          const older = session("ann", "desk");
          here.connect(older);
          here.choose(older, of(INVISIBLE));
          await soon(() => status(there, "ann"), OFFLINE);
          const watching = await watch(there, "ann");
          const newer = session("ann", "desk", 2);
          there.connect(newer);
          await soon(() => older.told, ["REPLACED"]);
          here.disconnect(older, false);
          await settle();
          expect(watching.seen).not.toContain(ONLINE);
          there.choose(newer, of(AWAY));
          await soon(() => status(here, "ann"), AWAY);
        }),
      );
    });

    describe("when a user was last online", () => {
      it(
        "is when they left, or were lost, or became invisible, and is not told while they are online",
        using(async ({ subject, session, presence, soon }) => {
          const { here, there, graceMs } = subject;
          const [ann, bob, cem] = [session("ann"), session("bob"), session("cem")];
          for (const each of [ann, bob, cem]) here.connect(each);
          await subject.pass(1_000);
          for (const userId of ["ann", "nobody"]) expect((await presence(here, userId)).lastSeenMs).toBeUndefined();
          const atMs = subject.now();
          here.disconnect(ann, false);
          here.disconnect(bob, true);
          here.choose(cem, of(INVISIBLE));
          await subject.pass(graceMs + 1_000);
          here.disconnect(cem, false);
          await subject.pass(graceMs + 1_000);
          for (const userId of ["ann", "bob", "cem"]) {
            for (const directory of [here, there]) {
              const close = async () => Math.abs(((await presence(directory, userId)).lastSeenMs ?? 0) - atMs) < 500;
              await soon(close, true);
            }
          }
          here.connect(session("ann", "device", 2));
          await soon(async () => (await presence(there, "ann")).lastSeenMs, undefined);
        }),
      );

      it(
        "is told to nobody where they want that, from then on and until they do not",
        using(async ({ subject, tenantId, session, presence, soon }) => {
          const { here, there } = subject;
          const ann = session("ann");
          here.connect(ann);
          await subject.pass(1_000);
          here.disconnect(ann, false);
          await soon(async () => (await presence(there, "ann")).lastSeenMs !== undefined, true);
          await here.setLastSeenVisibility(tenantId, "ann", LastSeenVisibility.NOBODY);
          expect((await presence(here, "ann")).lastSeenMs).toBeUndefined();
          await soon(async () => (await presence(there, "ann")).lastSeenMs, undefined);
          await here.setLastSeenVisibility(tenantId, "ann", LastSeenVisibility.SHARED_ROOMS);
          await soon(async () => (await presence(there, "ann")).lastSeenMs !== undefined, true);
        }),
      );

      it(
        "is kept when the nodes leave, graces that run included",
        using(async ({ subject, session, presence, tenantId }) => {
          await subject.pass(1_000);
          const [ann, bob, cem] = [session("ann"), session("bob"), session("cem")];
          for (const each of [ann, bob, cem]) subject.here.connect(each);
          await subject.here.setLastSeenVisibility(tenantId, "cem", LastSeenVisibility.NOBODY);
          subject.here.disconnect(ann, false);
          subject.here.disconnect(bob, true);
          subject.here.disconnect(cem, false);
          const atMs = subject.now();
          const { here } = await subject.reopen();
          for (const userId of ["ann", "bob"]) {
            const { status, lastSeenMs } = await presence(here, userId);
            expect(status).toBe(OFFLINE);
            expect(Math.abs((lastSeenMs ?? 0) - atMs)).toBeLessThan(500);
          }
          expect((await presence(here, "cem")).lastSeenMs).toBeUndefined();
        }),
      );
    });

    describe("who is online", () => {
      it(
        "is listed by user id in byte order, page by page, each once",
        using(async ({ subject: { here, there }, tenantId, session, soon }) => {
          const users = ["zoe", "Zoe", "a-b", "a.b", "a_b", "a~b", "b", "0", "10", "9"];
          for (const [index, userId] of users.entries()) (index % 2 === 0 ? here : there).connect(session(userId));
          const away = session("away");
          here.connect(away);
          here.choose(away, of(AWAY));
          const hidden = session("hidden");
          here.connect(hidden);
          here.choose(hidden, of(INVISIBLE));
          const lost = session("lost");
          here.connect(lost);
          here.disconnect(lost, true);
          const expected = [...users, "away", "lost"].sort();
          const list = async (limit: number): Promise<string[]> => {
            const found: UserPresence[] = [];
            // One more than there are ends a listing that goes in circles.
            for (let last = false; !last && found.length <= expected.length; ) {
              const page = await there.online(tenantId, found.at(-1)?.userId ?? "", limit);
              expect(page.length).toBeLessThanOrEqual(limit);
              last = page.length < limit;
              found.push(...page);
            }
            return found.map(({ userId }) => userId);
          };
          await soon(() => list(100), expected);
          for (const limit of [1, 3, expected.length]) expect(await list(limit)).toEqual(expected);
          expect(await there.countOnline(tenantId, [...users, "hidden", "nobody", "lost"])).toBe(users.length + 1);
          expect((await there.online(tenantId, "away", 1))[0]).toMatchObject({ userId: "a~b", lastSeenMs: undefined });
        }),
      );
    });

    describe("a watch", () => {
      it(
        "is told after each change that others see, and not within the call that opens it",
        using(async ({ subject: { here, there }, tenantId, session }) => {
          const desk = session("ann");
          here.connect(desk);
          const watching = new Watching(there, tenantId, "ann");
          const opened = there.watch(tenantId, "ann", () => watching.told());
          expect(watching.calls).toBe(0);
          await opened;
          here.choose(desk, of(AWAY));
          await watching.shows(AWAY);
          here.choose(desk, of(AWAY, "text"));
          await watching.showsText("text");
          here.disconnect(desk, false);
          await watching.shows(OFFLINE);
          here.connect(session("ann", "device", 2));
          await watching.shows(ONLINE);
        }),
      );

      it(
        "is not told of others, nor after it was closed; one listener may watch twice",
        using(async ({ subject: { here, there }, tenantId, session, settle }) => {
          let calls = 0;
          const count = (): void => void calls++;
          const [first, second] = [
            await there.watch(tenantId, "ann", count),
            await there.watch(tenantId, "ann", count),
          ];
          const sentinel = new Watching(there, tenantId, "ann");
          await there.watch(tenantId, "ann", () => sentinel.told());
          here.connect(session("bob"));
          await there.watch("nobody's", "ann", () => {
            throw new Error("told of another tenant's");
          });
          await settle();
          expect(calls).toBe(0);
          const desk = session("ann");
          here.connect(desk);
          await sentinel.shows(ONLINE);
          await settle();
          expect(calls).toBeGreaterThanOrEqual(2);
          first.close();
          first.close();
          const before = calls;
          here.choose(desk, of(AWAY));
          await sentinel.shows(AWAY);
          await settle();
          expect(calls).toBeGreaterThan(before);
          second.close();
          const closed = calls;
          here.disconnect(desk, false);
          await sentinel.shows(OFFLINE);
          await settle();
          expect(calls).toBe(closed);
        }),
      );

      it(
        "is told when a user shows, or no longer, when they were last online",
        using(async ({ subject: { here, there }, tenantId, settle }) => {
          let calls = 0;
          await there.watch(tenantId, "ann", () => calls++);
          await here.setLastSeenVisibility(tenantId, "ann", LastSeenVisibility.NOBODY);
          for (let tries = 0; calls === 0 && tries < TRIES; tries++) await settle();
          expect(calls).toBeGreaterThan(0);
        }),
      );
    });

    describe("sessions", () => {
      it(
        "are listed the oldest first, as they connected, on whatever node",
        using(async ({ subject, tenantId, session, soon }) => {
          const { here, there } = subject;
          const desk = session("ann", "desk");
          there.connect(desk);
          await subject.pass(10);
          const phone = session("ann", "phone");
          here.connect(phone);
          await subject.pass(10);
          const pad = session("ann", "pad");
          there.connect(pad);
          const listed = async () => (await here.sessions(tenantId, "ann")).map(({ sessionId }) => sessionId);
          await soon(listed, [desk.sessionId, phone.sessionId, pad.sessionId]);
          const [first] = await here.sessions(tenantId, "ann");
          const { device, addressClass, userId, attempt } = desk;
          expect(first).toMatchObject({ device, addressClass, userId, attempt, tenantId });
        }),
      );

      it(
        "are closed with a code and a reason, those selected and no others, each once",
        using(async ({ subject: { here, there }, tenantId, session, soon, settle }) => {
          const [desk, phone, pad, bob] = [
            session("ann", "desk"),
            session("ann", "phone"),
            session("ann", "pad"),
            session("bob", "desk"),
          ];
          here.connect(desk);
          there.connect(phone);
          here.connect(pad);
          there.connect(bob);
          await soon(async () => (await here.sessions(tenantId, "ann")).length, 3);
          const told = () => [desk, phone, pad, bob].map(({ told: each }) => each.length);
          const close = (directory: SessionDirectory, which: Parameters<SessionDirectory["close"]>[1]) =>
            directory.close(tenantId, which, CloseCode.KICKED, "for this reason");
          expect(await close(here, { sessionId: phone.sessionId })).toBe(1);
          await soon(told, [0, 1, 0, 0]);
          expect(phone.told).toEqual(["KICKED"]);
          expect(phone.reasons).toEqual(["for this reason"]);
          there.disconnect(phone, false);
          await soon(() => close(here, { sessionId: phone.sessionId }), 0);
          expect(await close(here, { sessionId: "nobody's" })).toBe(0);
          expect(await close(there, { userId: "ann", deviceId: "desk" })).toBe(1);
          await soon(told, [1, 1, 0, 0]);
          here.disconnect(desk, true);
          await soon(() => close(there, { userId: "ann", exceptDeviceId: "pad" }), 0);
          expect(await close(there, { userId: "ann" })).toBe(1);
          await soon(told, [1, 1, 1, 0]);
          expect(await here.close("nobody's", { userId: "bob" }, CloseCode.KICKED, "")).toBe(0);
          await settle();
          expect(told()).toEqual([1, 1, 1, 0]);
        }),
      );
    });

    it(
      "stops as often as it is asked to",
      using(async ({ subject: { here }, session }) => {
        here.connect(session("ann"));
        await Promise.all([here.stop(), here.stop()]);
        await here.stop();
      }),
    );
  });
}

/** How often what is soon to be so is looked at. */
const TRIES = 200;
let scenes = 0;

/** A session that keeps what it was told. */
export interface ToldSession extends LocalSession {
  readonly told: string[];
  readonly reasons: string[];
}

export function of(status: PresenceStatus, text = "", untilMs?: number): PresenceChoice {
  return { status, text, untilMs };
}

/** Users of a tenant of its own. */
export class Scene {
  readonly subject: SessionDirectorySubject;
  readonly tenantId = `tenant-${process.pid}-${++scenes}`;
  #sessions = 0;

  constructor(subject: SessionDirectorySubject) {
    this.subject = subject;
  }

  readonly session = (userId: string, deviceId = "device", attempt = 1): ToldSession => {
    const told: string[] = [];
    const reasons: string[] = [];
    return {
      sessionId: `${this.tenantId}-${++this.#sessions}`,
      tenantId: this.tenantId,
      userId,
      device: { deviceId, kind: DeviceKind.WEB, name: `${deviceId} of ${userId}`, appVersion: "1" },
      addressClass: AddressClass.LOOPBACK,
      connectedAtMs: this.subject.now(),
      attempt,
      told,
      reasons,
      close(code, reason) {
        told.push(CloseCode[code]);
        reasons.push(reason);
      },
    };
  };

  readonly presence = async (directory: SessionDirectory, userId: string): Promise<UserPresence> => {
    const [presence] = await directory.presences(this.tenantId, [userId]);
    if (presence === undefined) throw new Error(`nothing is said of ${userId}`);
    return presence;
  };

  readonly status = async (directory: SessionDirectory, userId: string): Promise<PresenceStatus> =>
    (await this.presence(directory, userId)).status;

  readonly watch = async (directory: SessionDirectory, userId: string): Promise<Watching> => {
    const watching = new Watching(directory, this.tenantId, userId);
    await directory.watch(this.tenantId, userId, () => watching.told());
    return watching;
  };

  /** What is under way may arrive. */
  readonly settle = (): Promise<void> => this.subject.pass(0);

  /** Fails unless it comes to be so soon. */
  readonly soon = async (read: () => unknown, expected: unknown): Promise<void> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await read();
      try {
        if (typeof expected === "object" && !Array.isArray(expected)) expect(found).toMatchObject(expected ?? {});
        else expect(found).toEqual(expected);
        return;
      } catch {
        await this.settle();
      }
    }
    expect(await read()).toEqual(expected);
  };
}

/** What somebody sees who asks each time they are told. */
export class Watching {
  calls = 0;
  readonly #seen: UserPresence[] = [];
  readonly #directory: SessionDirectory;
  readonly #tenantId: string;
  readonly #userId: string;
  #waiting: (() => void)[] = [];

  constructor(directory: SessionDirectory, tenantId: string, userId: string) {
    this.#directory = directory;
    this.#tenantId = tenantId;
    this.#userId = userId;
  }

  get seen(): readonly PresenceStatus[] {
    return this.#seen.map(({ status }) => status);
  }

  told(): void {
    this.calls++;
    void this.#look();
  }

  /** Resolves once it has been told, and then was so. */
  async shows(status: PresenceStatus): Promise<void> {
    while (this.#seen.at(-1)?.status !== status) await this.#next();
  }

  async showsText(text: string): Promise<void> {
    while (this.#seen.at(-1)?.text !== text) await this.#next();
  }

  async #look(): Promise<void> {
    const [presence] = await this.#directory.presences(this.#tenantId, [this.#userId]);
    if (presence !== undefined) this.#seen.push(presence);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
