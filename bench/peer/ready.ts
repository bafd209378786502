// Tells the benchmark that started this process which port it listens on, and ends the process with the benchmark.

import type { AddressInfo } from "node:net";

/** Sends `{port}` to the parent. Call it once the server listens. */
export function reportReady(address: AddressInfo | string | null): void {
  if (address === null || typeof address === "string") throw new Error("no TCP port");
  process.on("disconnect", () => process.exit(0));
  process.send?.({ port: address.port });
}
