// Runs in the page: an application on `trunkline/client` that listens to its rooms.

import type { Client, ClientOptions } from "../../../bridge/client/client.js";
import { offer } from "./receiver.js";

/** Offers a receiver on a client that `create` makes. */
export function offerTrunkline(create: (options: ClientOptions) => Client, options: Partial<ClientOptions> = {}): void {
  offer(async ({ url, token, rooms }, heard) => {
    const client = create({ url, token: () => token, ...options });
    client.on("frame", ({ roomEvents }) => {
      if (roomEvents !== undefined) heard.frame();
    });
    await Promise.all(
      rooms.map((id) => {
        const room = client.room(id);
        room.on("event", ({ messageCreated }) => {
          const text = messageCreated?.body?.text;
          if (text !== undefined) heard.message(text);
        });
        const live = new Promise<void>((resolve) => {
          room.on("state", ({ status }) => {
            if (status === "live") resolve();
          });
        });
        room.open();
        return live;
      }),
    );
  });
}
