// A client in the world that it really runs in.

import { browser } from "./browser.js";
import { Client, type ClientOptions } from "./client.js";
import { withFallback } from "./fallback/browser.js";
import { indexedDbStorage } from "./outbox/indexed-db.js";
import { browserTabs } from "./tabs/browser.js";
import { share } from "./tabs/share.js";
import type { Codec } from "./wire/codec.js";

export function createWith(codec: Codec, options: ClientOptions): Client {
  const platform = withFallback(browser, options.fallback);
  const parts = { codec, platform, storage: indexedDbStorage() };
  return share(options, parts, browserTabs(), (options, parts) => new Client(options, parts));
}
