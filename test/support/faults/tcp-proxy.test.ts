// What lies between two programs fails in the way it is told to, and in no other.

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { TcpProxy, type TcpProxyOptions } from "./tcp-proxy.js";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** How long a test waits to see that nothing comes, in milliseconds. */
const NOTHING_MS = 60;

/** A server that answers each line with itself in capitals. */
async function shouter(): Promise<{ readonly address: string; readonly heard: string[]; readonly sockets: Socket[] }> {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard.push(bytes.toString());
      socket.write(bytes.toString().toUpperCase());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { address: `127.0.0.1:${typeof address === "object" ? address?.port : 0}`, heard, sockets };
}

class Caller {
  readonly socket: Socket;
  said = "";
  ended = false;

  constructor(address: string) {
    const [host, port] = address.split(":");
    this.socket = connect(Number(port), host);
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.ended = true;
    });
    this.socket.on("data", (bytes) => {
      this.said += bytes.toString();
    });
    ends.push(() => this.socket.destroy());
  }

  say(text: string): void {
    this.socket.write(text);
  }
}

async function stage(options?: TcpProxyOptions) {
  const server = await shouter();
  const proxy = await TcpProxy.to(server.address, options);
  ends.push(() => proxy.close());
  const caller = new Caller(proxy.address);
  caller.say("one");
  await until(() => caller.said === "ONE");
  return { server, proxy, caller };
}

function until(condition: () => boolean): Promise<void> {
  return expect.poll(condition, { interval: 2, timeout: 5_000 }).toBe(true);
}

describe("a proxy that was told nothing", () => {
  test("passes on what both sides say, and their ends", async () => {
    const { server, proxy, caller } = await stage();
    caller.socket.end();
    await until(() => caller.ended && proxy.connections === 0);
    const other = new Caller(proxy.address);
    other.say("two");
    await until(() => other.said === "TWO");
    server.sockets.at(-1)?.destroy();
    await until(() => other.ended);
  });

  test("passes on more than it keeps, in order and whole", async () => {
    const { caller } = await stage();
    const long = "abcdefgh".repeat(500_000);
    caller.say(long);
    await until(() => caller.said.length === 3 + long.length);
    expect(caller.said).toBe(`ONE${long.toUpperCase()}`);
  });

  test("ends the connection of who is led to nobody", async () => {
    const { proxy, caller } = await stage();
    proxy.leadTo("127.0.0.1:1");
    await until(() => caller.ended);
    const other = new Caller(proxy.address);
    await until(() => other.ended);
  });
});

describe("cut", () => {
  test("it ends what there is and all that comes, until it is healed", async () => {
    const { server, proxy, caller } = await stage();
    proxy.cut();
    await until(() => caller.ended);
    const refused = new Caller(proxy.address);
    refused.say("two");
    await until(() => refused.ended);
    proxy.heal();
    const other = new Caller(proxy.address);
    other.say("three");
    await until(() => other.said === "THREE");
    expect(server.heard).toEqual(["one", "three"]);
  });

  test("interrupted, it takes new connections at once", async () => {
    const { proxy, caller } = await stage();
    proxy.interrupt();
    const other = new Caller(proxy.address);
    other.say("two");
    await until(() => caller.ended && other.said === "TWO");
  });
});

describe("silent", () => {
  test("it lets nothing pass and ends nothing; healed, what waited passes", async () => {
    const { server, proxy, caller } = await stage();
    proxy.silence();
    caller.say("two");
    server.sockets[0]?.write("!");
    const late = new Caller(proxy.address);
    late.say("three");
    await pause(NOTHING_MS);
    expect([caller.said, caller.ended, late.said, late.ended, server.heard]).toEqual([
      "ONE",
      false,
      "",
      false,
      ["one"],
    ]);
    proxy.heal();
    await until(() => caller.said === "ONE!TWO" && late.said === "THREE");
  });

  test("it tells no side that the other has gone, before it is healed", async () => {
    const { server, proxy, caller } = await stage();
    let told = false;
    server.sockets[0]?.on("close", () => {
      told = true;
    });
    proxy.silence();
    caller.socket.destroy();
    await pause(NOTHING_MS);
    expect(told).toBe(false);
    proxy.heal();
    await until(() => told);
  });

  test("for marked connections alone, the others do not notice", async () => {
    const { proxy, caller } = await stage({ marks: (bytes) => bytes.includes("subscribe") });
    const marked = new Caller(proxy.address);
    marked.say("subscribe");
    await until(() => marked.said === "SUBSCRIBE");
    proxy.silence({ markedOnly: true });
    const late = new Caller(proxy.address);
    for (const each of [caller, marked]) each.say("+");
    late.say("subscribe too");
    await until(() => caller.said === "ONE+");
    await pause(NOTHING_MS);
    expect([marked.said, late.said]).toEqual(["SUBSCRIBE", ""]);
  });
});

describe("one way", () => {
  test("what clients send arrives, and no answer comes", async () => {
    const { server, proxy, caller } = await stage();
    proxy.oneWay("requests");
    caller.say("two");
    await until(() => server.heard.length === 2);
    await pause(NOTHING_MS);
    expect(caller.said).toBe("ONE");
    proxy.heal();
    await until(() => caller.said === "ONETWO");
  });

  test("what clients are sent arrives, and nothing of theirs", async () => {
    const { server, proxy, caller } = await stage();
    proxy.oneWay("answers");
    caller.say("two");
    server.sockets[0]?.write("!");
    await until(() => caller.said === "ONE!");
    await pause(NOTHING_MS);
    expect(server.heard).toEqual(["one"]);
  });
});

describe("slow", () => {
  test("it passes on everything in order, later in each direction", async () => {
    const { proxy, caller } = await stage();
    proxy.delay(40);
    const since = performance.now();
    for (const word of ["a", "b", "c", "d"]) caller.say(word);
    await until(() => caller.said === "ONEABCD");
    // Timers may be a millisecond early.
    expect(performance.now() - since).toBeGreaterThanOrEqual(78);
    caller.say("x");
    proxy.delay(0);
    caller.say("y");
    await until(() => caller.said === "ONEABCDXY");
  });
});

describe("the answer to one request", () => {
  test("is held, and passes when it is released", async () => {
    const { server, proxy, caller } = await stage();
    const held = proxy.holdAnswer((bytes) => bytes.includes("two"));
    const other = new Caller(proxy.address);
    other.say("other");
    await until(() => other.said === "OTHER");
    caller.say("two");
    const answer = await held;
    expect([server.heard.at(-1), caller.said]).toEqual(["two", "ONE"]);
    answer.release();
    await until(() => caller.said === "ONETWO");
  });

  test("is lost with its connection: what was asked has been done", async () => {
    const { server, proxy, caller } = await stage();
    const held = proxy.holdAnswer((bytes) => bytes.includes("two"));
    caller.say("two");
    (await held).lose();
    await until(() => caller.ended);
    expect([server.heard, caller.said]).toEqual([["one", "two"], "ONE"]);
    const other = new Caller(proxy.address);
    other.say("two");
    await until(() => other.said === "TWO");
  });
});
