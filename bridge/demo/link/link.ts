// The page's client, with what makes it visible: a network that can be switched off, and a tap on its frames.

import { Client } from "../../client/client.js";
import { indexedDbStorage } from "../../client/outbox/indexed-db.js";
import { binaryCodec } from "../../client/wire/binary.js";
import { deviceId } from "../account/seat.js";
import { issuedToken } from "../account/token.js";
import { Network } from "./network.js";
import { Wiretap } from "./wiretap.js";

export interface LinkOptions {
  readonly userId: string;
  readonly name: string;
  /** The first token. Undefined: it is asked for. */
  readonly token: string | undefined;
  /** There is no issuer to ask for another. */
  readonly brought: boolean;
}

export interface Link {
  readonly client: Client;
  readonly network: Network;
  readonly wiretap: Wiretap;
}

export function createLink({ userId, name, token: first, brought }: LinkOptions): Link {
  let token = first;
  const wiretap = new Wiretap();
  const network = new Network(wiretap);
  const client = new Client(
    {
      url: new URL(".", document.baseURI).href,
      token: async ({ fresh }) => {
        if (fresh && !brought) token = undefined;
        token ??= await issuedToken(userId, name);
        return token;
      },
      device: { deviceId: deviceId(), name: `${name}’s browser` },
      autoConnect: false,
    },
    { codec: wiretap.codec(binaryCodec), platform: network.platform(), storage: indexedDbStorage() },
  );
  return { client, network, wiretap };
}
