// The page's client, which shares its connection with the other tabs of its user, and what makes it visible: a network that can be switched off, and
// a tap on its frames.

import { Client } from "../../client/client.js";
import { indexedDbStorage } from "../../client/outbox/indexed-db.js";
import type { TokenRequest } from "../../client/session/session.js";
import { browserTabs } from "../../client/tabs/browser.js";
import { share } from "../../client/tabs/share.js";
import { binaryCodec } from "../../client/wire/binary.js";
import type { Seat } from "../account/seat.js";
import { issuedToken } from "../account/token.js";
import { Network } from "./network.js";
import { Wiretap } from "./wiretap.js";

export interface LinkOptions {
  readonly seat: Seat;
  /** The first token. Undefined: it is asked for. */
  readonly token: string | undefined;
  /** There is no issuer to ask for another. */
  readonly brought: boolean;
}

export interface Link {
  readonly client: Client;
  readonly network: Network;
  readonly wiretap: Wiretap;
  /** The token is the user's own: where it is refused, they must bring another. */
  readonly brought: boolean;
  /** Leaves for good. */
  close(): void;
}

/** As `createClient` of `trunkline/client` makes one, with the network and the tap in between. */
export function createLink({ seat, token: first, brought }: LinkOptions): Link {
  const { userId, name, tenantId } = seat;
  let token = first;
  const wiretap = new Wiretap();
  const network = new Network(userId);
  const options = {
    url: new URL(".", document.baseURI).href,
    token: async ({ fresh }: TokenRequest) => {
      // One that was brought serves until it is refused.
      if (fresh && !(brought && client.state.status === "live")) token = undefined;
      if (token === undefined && !brought) token = await issuedToken(userId, name);
      return token;
    },
    device: { name: `${name}’s browser` },
    autoConnect: false,
    // Without the tenant it would be another owner than the one that the server names.
    ...(tenantId !== undefined && { outbox: { owner: { tenantId, userId } } }),
  };
  const parts = { codec: binaryCodec, platform: network.platform(), storage: indexedDbStorage() };
  const client = share(
    options,
    parts,
    browserTabs(),
    (options, { codec, platform, ...parts }) =>
      new Client(options, {
        ...parts,
        codec: wiretap.codec(codec),
        platform: { ...platform, dial: wiretap.dial(platform.dial) },
      }),
  );
  const close = (): void => {
    client.close();
    network.close();
  };
  return { client, network, wiretap, brought, close };
}
