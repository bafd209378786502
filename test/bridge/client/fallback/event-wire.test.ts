// One connection of the fallback, with the network in the test's hands.

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { eventsDial } from "../../../../bridge/client/fallback/event-wire.js";
import { StoppedClock } from "../../../support/stopped-clock.js";

interface Post {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly keepalive: boolean;
  readonly signal: AbortSignal;
  answer(status: number): void;
  fail(): void;
}

function useWire() {
  const clock = new StoppedClock();
  const urls: string[] = [];
  const posts: Post[] = [];
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const opening = Promise.withResolvers<Response>();
  const fetch = (url: string, init: RequestInit): Promise<Response> => {
    urls.push(`${init.method ?? "GET"} ${url}`);
    const { signal } = init;
    if (!signal) throw new Error("a request that nobody can end");
    if (init.method !== "POST") {
      signal.addEventListener("abort", () => {
        opening.reject(signal.reason);
        stream?.error(signal.reason);
      });
      return opening.promise;
    }
    const answer = Promise.withResolvers<Response>();
    signal.addEventListener("abort", () => answer.reject(signal.reason));
    posts.push({
      body: String(init.body),
      headers: Object.fromEntries(new Headers(init.headers)),
      keepalive: init.keepalive === true,
      signal,
      answer: (status) => answer.resolve(new Response(null, { status })),
      fail: () => answer.reject(new TypeError("failed to fetch")),
    });
    return answer.promise;
  };
  const told: unknown[] = [];
  const dial = eventsDial({ fetch, after: (ms, action) => clock.after(ms, action) });
  const wire = dial("https://chat.example.com/v1/connect", "trunkline.v1.binary", {
    opened: () => told.push("opened"),
    received: (data) => told.push(data),
    closed: (code) => told.push(code),
  });
  return {
    clock,
    wire,
    posts,
    told,
    urls,
    /** The request of this index, once it is made. */
    post: (index: number) =>
      until(() => {
        const post = posts[index];
        if (post === undefined) throw new Error(`no request ${index}`);
        return post;
      }),
    refuse: (status: number) => opening.resolve(new Response(null, { status })),
    open: () => {
      const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        stream = controller;
      };
      opening.resolve(new Response(new ReadableStream({ start })));
    },
    push: (bytes: Uint8Array | string) =>
      stream?.enqueue(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes),
    end: () => stream?.close(),
    settled: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

type WireUnderTest = ReturnType<typeof useWire>;

async function useOpenWire(maxBytes = 100): Promise<WireUnderTest> {
  const under = useWire();
  under.open();
  under.push(`:   \nevent: session\ndata: {"session":"key","maxBytes":${maxBytes}}\n\n`);
  await until(() => expect(under.told).toEqual(["opened"]));
  return under;
}

/** Resolves once nothing throws any more. */
function until<T>(fact: () => T): Promise<T> {
  return vi.waitFor(fact, { interval: 1, timeout: 5_000 });
}

describe("down", () => {
  it("gives frames as they were said, however the network cuts them", async () => {
    const texts = fc.array(fc.string({ unit: "binary", maxLength: 40 }), { maxLength: 20 });
    const property = fc.asyncProperty(texts, fc.array(fc.integer({ min: 1, max: 60 })), async (said, cuts) => {
      const { told, push, end } = await useOpenWire();
      const frames = said.map((text) => JSON.stringify({ text: `${text}\u2028` }));
      const bytes = new TextEncoder().encode(frames.map((frame) => `data: ${frame}\n\n`).join(":\n\n"));
      let from = 0;
      for (const cut of [...cuts, bytes.length]) {
        if (from < bytes.length) push(bytes.slice(from, from + cut));
        from += cut;
      }
      end();
      await until(() => expect(told).toEqual(["opened", ...frames, 1006]));
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it("ends with the code that the last event says", async () => {
    const { told, push, end, clock } = await useOpenWire();
    push('event: end\ndata: {"code":4100,"reason":""}\n\n');
    end();
    await until(() => expect(told).toEqual(["opened", 4100]));
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["is refused", (under: WireUnderTest) => under.refuse(503)],
    [
      "begins with something else",
      (under: WireUnderTest) => {
        under.open();
        under.push("event: session\ndata: <html>\n\n");
      },
    ],
  ])("is lost where the stream %s", async (_what, happens) => {
    const under = useWire();
    happens(under);
    await until(() => expect(under.told).toEqual([1006]));
    expect(under.urls).toEqual(["GET https://chat.example.com/v1/events"]);
  });
});

describe("up", () => {
  it("sends one request at a time: what waits goes together, no longer than the server takes", async () => {
    const { wire, posts, post, urls } = await useOpenWire(10);
    wire.send("é1");
    wire.send("2");
    const first = await post(0);
    expect(first.body).toBe("é1\n2");
    expect(first.headers).toMatchObject({ "trunkline-session": "key", "trunkline-batch": "1" });
    for (const frame of ["3333", "é4é", "55555555555555", "6"]) wire.send(frame);
    expect(posts).toHaveLength(1);
    first.answer(204);
    for (const [index, body] of ["3333\né4é", "55555555555555", "6"].entries()) {
      const next = await post(index + 1);
      expect([next.body, next.headers["trunkline-batch"]]).toEqual([body, `${index + 2}`]);
      next.answer(204);
    }
    expect(urls.at(-1)).toBe("POST https://chat.example.com/v1/frames");
    expect(JSON.stringify(urls)).not.toContain("key");
  });

  it("waits for the key with what is said before it is there", async () => {
    const under = useWire();
    under.wire.send("1");
    under.open();
    expect(under.posts).toHaveLength(0);
    under.push('event: session\ndata: {"session":"key","maxBytes":100}\n\n');
    expect((await under.post(0)).body).toBe("1");
  });

  it.each([
    ["fails", ({ fail }: Post) => fail()],
    ["is answered 503", ({ answer }: Post) => answer(503)],
    ["is not answered in ten seconds", (_post: Post, clock: StoppedClock) => clock.advance(10_000)],
  ])("sends a request that %s again, the same under the same number", async (_what, goesWrong) => {
    const { wire, post, posts, clock, settled, told } = await useOpenWire();
    wire.send("1");
    goesWrong(await post(0), clock);
    wire.send("2");
    await settled();
    clock.advance(499);
    await settled();
    expect(posts).toHaveLength(1);
    clock.advance(1);
    const again = await post(1);
    expect([again.body, again.headers["trunkline-batch"]]).toEqual(["1", "1"]);
    again.answer(204);
    expect((await post(2)).body).toBe("2");
    expect(told).toEqual(["opened"]);
  });

  it.each([
    ["three repeats have failed", 503, 4],
    ["the server knows no such session", 404, 1],
    ["one was lost on the way", 409, 1],
  ])("gives the connection up 2 s after %s, unless the stream says more", async (_what, status, requests) => {
    const { wire, post, posts, clock, settled, told } = await useOpenWire();
    wire.send("1");
    for (let index = 0; index < requests; index++) {
      (await post(index)).answer(status);
      await settled();
      if (index + 1 < requests) clock.advance(500 * (index + 1));
    }
    wire.send("2");
    await settled();
    clock.advance(1_999);
    expect(told).toEqual(["opened"]);
    clock.advance(1);
    await until(() => expect(told).toEqual(["opened", 1006]));
    expect(posts).toHaveLength(requests);
    expect(clock.pending).toBe(0);
  });
});

describe("closing", () => {
  it("is said after what was sent, and then nothing is heard any more", async () => {
    const { wire, post, push, told, settled, clock } = await useOpenWire();
    wire.send("1");
    const first = await post(0);
    wire.send("2");
    wire.close(1000);
    wire.send("3");
    push("data: {}\n\n");
    first.answer(204);
    const last = await post(1);
    expect(last).toMatchObject({ body: "2", keepalive: true, headers: { "trunkline-close": "1000" } });
    last.answer(204);
    await settled();
    expect(told).toEqual(["opened"]);
    expect(clock.pending).toBe(0);
  });

  it("takes 2 s at most", async () => {
    const { wire, post, clock, told, settled } = await useOpenWire();
    wire.close(1000);
    const { signal } = await post(0);
    clock.advance(2_000);
    await settled();
    expect(signal.aborted).toBe(true);
    expect(told).toEqual(["opened"]);
    expect(clock.pending).toBe(0);
  });

  it("needs no request where there is no session yet", async () => {
    const { wire, told, urls, settled, clock } = useWire();
    wire.close(1000);
    await settled();
    expect([told, urls.length, clock.pending]).toEqual([[], 1, 0]);
  });

  it("is nothing where the server has ended it", async () => {
    const { wire, end, told, posts, settled } = await useOpenWire();
    end();
    await until(() => expect(told).toEqual(["opened", 1006]));
    wire.close(1000);
    wire.send("1");
    await settled();
    expect(posts).toEqual([]);
  });
});
