// Several tabs of one browser are one device, and share one connection; where they cannot, each tab is a device, and so are copies of a tab.

import type { Client, ClientOptions, ClientParts } from "../client.js";
import type { Device } from "../gen/types.js";
import { jsonCodec } from "../wire/codec.js";
import { type TabsPlatform, VERSION } from "./channel.js";
import { Hub } from "./hub.js";
import { Link } from "./link.js";

const DEVICE_KEY = "trunkline.device";

/**
 * Makes a client with `make`, which shares the connection of this browser's tabs unless `options.tabs` says otherwise.
 * @param tabs Undefined: the browser cannot.
 */
export function share(
  options: ClientOptions,
  parts: ClientParts,
  tabs: TabsPlatform | undefined,
  make: (options: ClientOptions, parts: ClientParts) => Client,
): Client {
  if (tabs === undefined) return make(options, parts);
  if (options.tabs === "own") return apart(options, parts, tabs, make);
  const { url, token, device, autoConnect = true } = options;
  const { platform, codec } = parts;
  const link = new Link({
    platform,
    tabs,
    token,
    name: typeof url === "string" ? url : url.join(" "),
    hub: (needs) => {
      const named: Device = { kind: "DEVICE_KIND_WEB", deviceId: kept(needs.group), ...device };
      return new Hub({ ...needs, platform, tabs, codec, url, device: named });
    },
  });
  const kept = (group: number): string => {
    // Tabs that do not share are not one device: they would take each other's place at the server.
    const key = `${DEVICE_KEY}/${VERSION}/${group}`;
    const id = tabs.all.get(key) ?? platform.id();
    tabs.all.set(key, id);
    return id;
  };
  const { dial, reachability } = link;
  const shared: ClientParts = { ...parts, codec: jsonCodec, platform: { ...platform, dial, reachability } };
  const client = make({ ...options, token: link.token, autoConnect: false }, shared);
  client.on("state", ({ status }) => {
    if (status === "closed") link.leave();
  });
  if (autoConnect) client.connect();
  return client;
}

/** A connection of its own, as a device of its own, which a reload keeps and a copy of the tab does not. */
function apart(
  options: ClientOptions,
  parts: ClientParts,
  tabs: TabsPlatform,
  make: (options: ClientOptions, parts: ClientParts) => Client,
): Client {
  if (options.device?.deviceId !== undefined) return make(options, parts);
  const { platform } = parts;
  let id = tabs.own.get(DEVICE_KEY) ?? platform.id();
  const chosen = new Promise<void>((resolve) => {
    const choose = (): void => {
      tabs.own.set(DEVICE_KEY, id);
      // For as long as the tab lives.
      tabs.lock(`${DEVICE_KEY}/${id}`, "try", resolve, () => {
        id = platform.id();
        choose();
      });
    };
    choose();
  });
  const token: ClientOptions["token"] = async (request) => {
    await chosen;
    return await options.token(request);
  };
  return make({ ...options, token }, { ...parts, deviceId: () => id });
}
