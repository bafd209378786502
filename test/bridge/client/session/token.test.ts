// Where a client's token comes from, and what happens when it does not come, or is over.

import { expect, it } from "vitest";
import type { TokenRequest } from "../../../../bridge/client/session/session.js";
import { useClient, useServer } from "../support/use-client.js";

/** A client whose tokens are given by `give`, and how often it has asked for them. */
function useTokens(
  give: (used: ReturnType<typeof useServer>, request: TokenRequest) => Promise<string> | string | undefined,
) {
  const used = useServer();
  const asked: boolean[] = [];
  const token = (request: TokenRequest) => {
    asked.push(request.fresh);
    return give(used, request);
  };
  return { ...useClient({ token }, used), asked };
}

it("a token that is not given just now is asked for again, later each time", async () => {
  let failing = 3;
  const { states, asked, run } = useTokens(({ server }) => {
    if (failing-- > 0) throw new Error("no token just now");
    return server.issue(3_600_000);
  });
  await run(30_000);
  expect(asked).toHaveLength(4);
  expect(states.slice(0, 2)).toEqual(["connecting", "waiting no-token"]);
  expect(states.at(-1)).toBe("live");
});

it("a token that does not come in time is asked for again, and is of no use once it comes", async () => {
  const late: ((token: string) => void)[] = [];
  const { page, server, states, run } = useTokens(({ server }) => {
    return late.length > 0 ? server.issue(3_600_000) : new Promise((resolve) => late.push(resolve));
  });
  await run(19_900);
  expect(states).toEqual(["connecting"]);
  await run(5_000);
  expect(states).toEqual(["connecting", "waiting no-token", "connecting", "live"]);
  for (const resolve of late) resolve(server.issue(3_600_000));
  await run(1_000);
  expect(page.links).toHaveLength(1);
});

it("whoever has no token is closed, until they are told to connect", async () => {
  const tokens: (string | undefined)[] = [undefined];
  const { client, page, states, run, server } = useTokens(() => tokens.shift());
  await run(60_000);
  expect(states).toEqual(["connecting", "closed unauthenticated"]);
  expect([page.timers, page.watchers, page.links.length]).toEqual([0, 0, 0]);
  tokens.push(server.issue(3_600_000));
  client.connect();
  await run();
  expect(client.state.status).toBe("live");
});

it("a client that is closed while it waits for its token does not connect", async () => {
  const { client, page, run } = useTokens(({ server }) => Promise.resolve(server.issue(3_600_000)));
  client.close();
  await run(60_000);
  expect(page.links).toHaveLength(0);
});

it("a token that is about to expire is replaced, on the same connection", async () => {
  const { page, asked, states, run } = useTokens(({ server }) => server.issue(600_000));
  await run(3_600_000);
  expect(page.links).toHaveLength(1);
  expect(asked).toEqual([false, true, true, true, true, true, true]);
  expect(states).toEqual(["connecting", "live"]);
});

it("a token that was not replaced in time is over, and the next connection has a fresh one", async () => {
  const { asked, states, run } = useTokens(({ server }, { fresh }) => {
    if (fresh && asked.length === 2) throw new Error("not just now");
    return server.issue(600_000);
  });
  await run(601_000);
  expect(asked).toEqual([false, true, true]);
  expect(states).toEqual(["connecting", "live", "waiting token-expired", "connecting", "live"]);
});

it("an expired token that is given again and again is tried ever more rarely", async () => {
  const { asked, page, run } = useTokens(({ server }) => server.issue(0));
  await run(600_000);
  expect(asked.slice(0, 3)).toEqual([false, true, true]);
  expect(page.links.length).toBeGreaterThan(30);
  expect(page.links.length).toBeLessThan(60);
});

it("whoever gives tokens that live shorter than the server's notice is not asked all the time", async () => {
  const { asked, page, run } = useTokens(({ server }) => server.issue(4_000));
  await run(60_000);
  expect(page.links).toHaveLength(1);
  expect(asked.length).toBeLessThan(40);
});
