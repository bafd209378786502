// The page in front of a whole backbone with its store on disk: what a reader of the README does first.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { TokenRequest } from "../../../bridge/http/dev-token.js";
import type { Backbone } from "../../../src/backbone/options.js";
import { startBackbone } from "../../../src/backbone.js";
import { Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { AccessHook } from "../../../src/ports/access-hook.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Identity, TokenVerifier } from "../../../src/ports/token-verifier.js";
import { buildPage, launchBrowser, missingBrowser, useTab } from "./use-page.js";

/** Where to put a picture of the page, if one is wanted. */
const SCREENSHOT = process.env.TRUNKLINE_SCREENSHOT;

/** Issues tokens to anybody and knows them again, also after a restart. */
class OpenVerifier implements TokenVerifier {
  readonly available = true;

  issue = async ({ user, name }: TokenRequest): Promise<string> =>
    Buffer.from(JSON.stringify([user, name])).toString("base64url");

  async verify(token: string): Promise<Identity> {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (!Array.isArray(parts)) throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "not a token");
    const [userId, displayName] = parts.map(String);
    if (userId === undefined || displayName === undefined) throw new TypeError("a token has two parts");
    return { tenantId: "demo", userId, displayName, grants: new Set(), expiresAtMs: undefined, tokenId: "" };
  }

  onRevoked(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}
}

describe.skipIf(missingBrowser !== undefined)(
  `the page on a backbone${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 60_000 });
    const verifier = new OpenVerifier();
    let browser: Browser;
    let built: Awaited<ReturnType<typeof buildPage>>;

    beforeAll(async () => {
      [browser, built] = await Promise.all([launchBrowser(), buildPage()]);
    });
    afterAll(async () => {
      await browser?.close();
      await built?.remove();
    });

    async function serve(
      dataDirectory: string,
      port = 0,
      accessHook?: AccessHook,
    ): Promise<{ readonly backbone: Backbone; readonly port: number }> {
      const backbone = await startBackbone({
        dataDirectory,
        auth: { verifier },
        grpc: { port: 0 },
        bridge: { port, page: { directory: built.directory, issueToken: verifier.issue } },
        ...(accessHook && { accessHook: { hook: accessHook } }),
      });
      onTestFinished(async () => {
        await backbone.stop({ spreadMs: 0, deadlineMs: 0 });
      });
      return { backbone, port: Number(backbone.bridgeAddress.split(":").at(-1)) };
    }

    it("reads on when the application can say again who may", async () => {
      const data = await mkdtemp(join(tmpdir(), "trunkline-data-"));
      onTestFinished(() => rm(data, { recursive: true, force: true }));
      let away = false;
      const { backbone, port } = await serve(data, 0, {
        authorize: async () => {
          if (away) throw new Error("away");
          return { allowed: true, ttlMs: 1_000, role: Role.UNSPECIFIED };
        },
      });
      const url = `http://127.0.0.1:${port}/`;
      const context = await browser.newContext();
      onTestFinished(() => context.close());
      const ada = await useTab(context);
      await ada.enter(url, "Ada", "engine-room");
      await ada.state("live");
      await ada.say("before");
      await ada.shows(["before"]);

      // The page asks for the history again, and is refused.
      const refused = new Promise<void>((resolve) => {
        backbone.telemetry.on("request.refused", ({ operation }) => {
          if (operation === "call") resolve();
        });
      });
      away = true;
      await refused;
      away = false;
      const grace = await useTab(context);
      await grace.enter(url, "Grace", "engine-room");
      await grace.state("live");
      await grace.say("after");
      await ada.shows(["before", "after"]);
    });

    it("carries a conversation over a restart: nothing missing, nothing doubled, in order", async () => {
      const data = await mkdtemp(join(tmpdir(), "trunkline-data-"));
      onTestFinished(() => rm(data, { recursive: true, force: true }));
      const first = await serve(data);
      const url = `http://127.0.0.1:${first.port}/`;

      const context = await browser.newContext({
        colorScheme: "light",
        viewport: { width: 860, height: 660 },
        deviceScaleFactor: 2,
      });
      onTestFinished(() => context.close());
      const ada = await useTab(context);
      const grace = await useTab(context);
      await ada.enter(url, "Ada", "engine-room");
      await grace.enter(url, "Grace", "engine-room");
      await Promise.all([ada.state("live"), grace.state("live")]);

      const said: string[] = [];
      const say = async (tab: typeof ada, text: string) => {
        await tab.say(text);
        said.push(text);
      };
      await say(grace, "Is the engine up?");
      await ada.shows(said);
      await say(ada, "Up and running since this morning.");
      await say(ada, "I am about to pull the plug. Keep typing!");
      await grace.shows(said);
      await say(grace, "You are not serious.");
      await ada.shows(said);

      await first.backbone.stop({ spreadMs: 0, deadlineMs: 2_000 });
      await grace.state("waiting");
      await say(grace, "This one was written while the server was away.");
      await grace.showsPending("written while the server was away");
      const second = await serve(data, first.port);
      for (const tab of [ada, grace]) await tab.shows(said);

      await say(ada, "And it is here, once, in its place. Nobody reloaded anything.");
      await grace.shows(said);
      await say(grace, "So that is what durable means.");
      await ada.shows(said);
      if (SCREENSHOT !== undefined) await ada.page.screenshot({ path: SCREENSHOT });

      // A third tab that was never there sees the same.
      const alan = await useTab(context);
      await alan.enter(`http://127.0.0.1:${second.port}/`, "Alan", "engine-room");
      await alan.shows(said);
      for (const tab of [ada, grace, alan]) expect(tab.complaints).toEqual([]);
    });
  },
);
