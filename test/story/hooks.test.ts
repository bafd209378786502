// A hook that refuses, replaces, hangs, dies and comes back, and what the people in the room see of it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { at, type JsonObject } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { type Decision, Moderator } from "../support/story/moderator.js";
import { Person } from "../support/story/person.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function useServer(environment: { readonly [name: string]: string }): Promise<TestServer> {
  const server = new TestServer({ environment });
  onTestFinished(() => server.dispose());
  await server.start();
  return server;
}

async function useRoom(hook: string, environment: { readonly [name: string]: string } = {}) {
  const server = await useServer({ TRUNKLINE_PUBLISH_HOOK_ADDRESS: hook, ...environment });
  const ann = await new Person(server, "ann").comes();
  const bob = await new Person(server, "bob", { transport: "grpc" }).comes();
  onTestFinished(() => {
    for (const person of [ann, bob]) person.leaves();
  });
  await ann.makes("lobby", { members: [{ userId: "bob" }] });
  for (const person of [ann, bob]) await person.reads("lobby");
  return { server, ann, bob };
}

function say(key: string, words: string, attempt = 1): JsonObject {
  return { publish: { roomId: "lobby", clientMessageId: key, attempt, body: { text: words } } };
}

describe("a moderator between the people and the room", () => {
  test("refuses with a reason, replaces, and takes no part in what it was not asked about", async () => {
    const moderator = await new Moderator().comes();
    onTestFinished(() => moderator.goes());
    moderator.judges((text): Decision => {
      if (text.includes("darn")) return { case: "refuse", value: { reason: "mind your words", code: "words" } };
      if (text.includes("0171"))
        return { case: "replace", value: { kind: { case: "text", value: "(number removed)" } } };
      return { case: "allow", value: {} };
    });
    const { ann, bob } = await useRoom(moderator.address);

    const first = await ann.says("lobby", "hello");
    const refusal = await ann.asks(say("rude", "darn"), "error");
    expect(refusal).toMatchObject({
      code: "ERROR_CODE_PERMISSION_DENIED",
      message: "the application refuses the message: mind your words",
      details: { refused_by: "publish_hook", reason: "mind your words", reason_code: "words" },
    });
    await bob.says("lobby", "call me: 0171 234");
    await ann.edits("lobby", first, "call me: 0171 567");
    await bob.reactsTo("lobby", first, "+1");

    for (const person of [ann, bob]) await person.sees("lobby", "ann: (number removed)", "bob: (number removed)");
    expect(moderator.asked).toEqual(["hello", "darn", "call me: 0171 234", "call me: 0171 567"]);
  }, 60_000);

  test("falls asleep: nobody can talk until it wakes up, and what was said before is still there", async () => {
    const moderator = await new Moderator().comes();
    onTestFinished(() => moderator.goes());
    const { ann, bob } = await useRoom(moderator.address, { TRUNKLINE_PUBLISH_HOOK_DEADLINE: "100ms" });
    await ann.asks(say("before", "hello"), "published");

    moderator.fallsAsleep();
    const refusal = await ann.asks(say("asleep", "anybody there?"), "error");
    expect(refusal).toMatchObject({ code: "ERROR_CODE_UNAVAILABLE", retryable: true });
    expect(Number(at(refusal, "retryAfterMs"))).toBeGreaterThan(0);
    // What was stored before is known without asking.
    expect(await ann.asks(say("before", "hello", 2), "published")).toMatchObject({ duplicate: true });

    moderator.wakesUp();
    expect(await ann.asks(say("asleep", "anybody there?", 2), "published")).toMatchObject({ position: { seq: 3 } });
    for (const person of [ann, bob]) await person.sees("lobby", "ann: hello", "ann: anybody there?");
  }, 60_000);

  test("goes away: after a few refusals it is not asked any more, and it is found when it is back", async () => {
    const moderator = await new Moderator().comes();
    const { server, ann, bob } = await useRoom(moderator.address);
    moderator.goes();
    let tries = 0;
    while (server.timesLogged("the hook does not answer and is not asked for a while") === 0) {
      expect(await ann.isRefused(say("later", "is it back?", ++tries))).toBe("UNAVAILABLE");
    }
    await moderator.comes();
    onTestFinished(() => moderator.goes());
    for (;;) {
      const frame = await ann.tries(say("later", "is it back?", ++tries));
      if (at(frame, "published") !== undefined) break;
      const waitMs = Number(at(frame, "error", "retryAfterMs"));
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    for (const person of [ann, bob]) await person.sees("lobby", "ann: is it back?");
    expect(server.timesLogged("the hook answers again")).toBe(1);
  }, 60_000);

  test("goes away where everybody may talk without it", async () => {
    const moderator = await new Moderator().comes();
    const { ann, bob } = await useRoom(moderator.address, { TRUNKLINE_PUBLISH_HOOK_FAILURE: "open" });
    moderator.goes();
    for (const words of ["one", "two", "three", "four", "five", "six"]) await ann.says("lobby", words);
    await bob.sees("lobby", "ann: one", "ann: two", "ann: three", "ann: four", "ann: five", "ann: six");
  }, 60_000);
});

/** A directory in which the examples find the package and gRPC, as after `npm install`. */
function useHome(): string {
  const home = mkdtempSync(join(tmpdir(), "trunkline-hooks-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, "node_modules"));
  symlinkSync(ROOT, join(home, "node_modules/trunkline"), "dir");
  symlinkSync(join(ROOT, "node_modules/@grpc"), join(home, "node_modules/@grpc"), "dir");
  for (const example of ["publish-hook.mjs", "access-hook.mjs"]) {
    copyFileSync(join(ROOT, "examples/hooks", example), join(home, example));
  }
  return home;
}

/** Runs the example; answers the address that it says it listens on. */
async function useExample(
  example: string,
  environment: { readonly [name: string]: string },
  home: string = useHome(),
): Promise<string> {
  const child: ChildProcess = spawn(process.execPath, [example, "127.0.0.1:0"], {
    cwd: home,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  if (child.stdout === null) throw new Error("the example says nothing");
  const line = once(createInterface({ input: child.stdout }), "line");
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`ended: ${code}`)));
  const [said] = await Promise.race([line, ended]);
  return String(said).replace("listening on ", "");
}

describe("the example of a publish hook", () => {
  test("refuses words and finds links, as it stands", async () => {
    const { ann, bob } = await useRoom(await useExample("publish-hook.mjs", { WORDS: "broccoli" }));
    const refusal = await ann.asks(say("rude", "I hate BROCCOLI"), "error");
    expect(at(refusal, "details")).toMatchObject({ reason: '"broccoli" is not said here', reason_code: "words" });
    await ann.says("lobby", "darn, look: https://example.org", { metadata: { mood: "good" } });
    await bob.sees("lobby", "ann: darn, look: https://example.org");
    const history = await bob.calls({ getHistory: { roomId: "lobby" } });
    expect(at(history, "getHistory", "messages")).toMatchObject([
      { metadata: { mood: "good", links: ["https://example.org"] } },
    ]);
  }, 60_000);
});

describe("the example of an access hook", () => {
  test("lets in whom the file names, as what it says, and takes out whom it does not name any more", async () => {
    const home = useHome();
    const write = (lobby: JsonObject) => writeFileSync(join(home, "members.json"), JSON.stringify({ lobby }));
    write({ ann: "OWNER", bob: "MEMBER", cho: "READER" });
    const hook = await useExample("access-hook.mjs", { TTL_MS: "2000" }, home);
    const server = await useServer({ TRUNKLINE_ACCESS_HOOK_ADDRESS: hook });
    const [ann, bob, cho, eve] = await Promise.all(
      ["ann", "bob", "cho", "eve"].map((name) => new Person(server, name).comes()),
    );
    if (ann === undefined || bob === undefined || cho === undefined || eve === undefined) throw new Error("all came");
    onTestFinished(() => {
      for (const person of [ann, bob, cho, eve]) person.leaves();
    });
    await ann.makes("lobby");

    // Nobody has added them.
    for (const person of [ann, bob, cho]) await person.reads("lobby");
    await bob.says("lobby", "hello");
    expect(await cho.isRefused(say("c1", "may I?"))).toBe("PERMISSION_DENIED");
    expect(await eve.isRefused({ subscribe: { roomId: "lobby" } })).toBe("PERMISSION_DENIED");

    write({ ann: "OWNER", cho: "MEMBER" });
    expect(await bob.hears("unsubscribed")).toMatchObject({
      roomId: "lobby",
      reason: "UNSUBSCRIBE_REASON_ACCESS_LOST",
    });
    await cho.hears("roomEvents", (events) => JSON.stringify(events).includes("memberChanged"));
    await ann.says("lobby", "bob is gone");
    for (const person of [ann, cho]) await person.sees("lobby", "bob: hello", "ann: bob is gone");
    expect(await bob.isRefused(say("b2", "let me in"))).toBe("PERMISSION_DENIED");
    expect(await bob.isRefused({ call: { getHistory: { roomId: "lobby" } } })).toBe("PERMISSION_DENIED");
    await cho.says("lobby", "now I may");
  }, 60_000);
});
