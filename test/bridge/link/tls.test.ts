// A link over TLS, where the node demands a certificate of its bridges.

import { expect, it, vi } from "vitest";
import { makeCertificates } from "../../transport/grpc/certificates.js";
import { live, useClient } from "../client/use-backbone.js";
import { useEdge, useNode, useUnlinked } from "./use-edge.js";

it("is made with both certificates, and with no other", async () => {
  const { ca, server, client, stranger } = makeCertificates();
  const node = await useNode({ tls: { ...server, clientCa: ca } });
  const identity = (pair: typeof client) => ({ certificate: pair.cert, key: pair.key });
  const edge = await useEdge([node], { backboneTls: { ca, identity: identity(client) } });
  const ada = useClient(edge.url, "ada");
  await live(ada);
  await ada.call({ createRoom: { roomId: "tea", key: "make" } });
  for (const backboneTls of [{ ca }, { ca, identity: identity(stranger) }, { identity: identity(client) }]) {
    const { bridge } = await useUnlinked([node], { backboneTls });
    await vi.waitFor(() => expect(bridge.trouble).toEqual(["the server cannot be reached"]), { timeout: 10_000 });
  }
});
