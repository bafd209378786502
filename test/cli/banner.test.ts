// What a person reads when a server has started.

import { describe, expect, test } from "vitest";
import { banner, type Listening } from "../../src/cli/banner.js";

const LISTENING: Listening = {
  grpc: "127.0.0.1:9090",
  grpcTls: false,
  bridge: "127.0.0.1:8080",
  bridgeTls: false,
  page: true,
  metrics: undefined,
  auth: "127.0.0.1:41000",
  data: "/srv/trunkline-data",
};

describe("the banner", () => {
  test("of development says so, and what to do next", () => {
    const text = banner({
      version: "1.2.3",
      listening: LISTENING,
      program: "npx trunkline",
      dataFlag: "",
      development: true,
    });
    expect(text).toMatchInlineSnapshot(`
      "
        Trunkline 1.2.3

        DEVELOPMENT MODE: whoever reaches this machine's loopback can be any user. Never expose it.
        For real users: trunkline serve --auth-address HOST:PORT

        Page      http://127.0.0.1:8080/
        Browsers  ws://127.0.0.1:8080/v1/connect
        gRPC      127.0.0.1:9090
        Health    http://127.0.0.1:8080/health/ready
        Auth      127.0.0.1:41000
        Data      /srv/trunkline-data

        Talk         open http://127.0.0.1:8080/ in two windows
        Look around  grpcurl -plaintext 127.0.0.1:9090 list
        Get a token  npx trunkline token --user ann
        Call         grpcurl -plaintext -H "authorization: Bearer $(npx trunkline token --user ann)" \\
                       127.0.0.1:9090 trunkline.v1.RoomService/ListRooms

        Stop with Ctrl-C.

      "
    `);
  });

  test("names a data directory that is not the default, so that the token is one this server accepts", () => {
    const dataFlag = " --data-directory /srv/data";
    const text = banner({ version: "1.2.3", listening: LISTENING, program: "trunkline", dataFlag, development: true });
    expect(text).toContain("trunkline token --user ann --data-directory /srv/data\n");
    expect(text).toContain("$(trunkline token --user ann --data-directory /srv/data)");
  });

  test("of a server with TLS names its real addresses", () => {
    const listening = { ...LISTENING, grpcTls: true, bridgeTls: true, page: false, metrics: "127.0.0.1:9464" };
    const text = banner({ version: "1.2.3", listening, program: "trunkline", dataFlag: "", development: false });
    expect(text).toMatchInlineSnapshot(`
      "
        Trunkline 1.2.3

        Browsers  wss://127.0.0.1:8080/v1/connect
        gRPC      127.0.0.1:9090 (TLS)
        Health    https://127.0.0.1:8080/health/ready
        Metrics   http://127.0.0.1:9464/metrics
        Auth      127.0.0.1:41000
        Data      /srv/trunkline-data

        Look around  grpcurl 127.0.0.1:9090 list

        Stop with Ctrl-C.

      "
    `);
  });
});
