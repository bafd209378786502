// Suites that need a service of the cluster.

import { describe, inject } from "vitest";
import type { Service } from "./service.js";

declare module "vitest" {
  export interface ProvidedContext {
    /** By service, its address; empty: there is none, and why. */
    services: Readonly<Record<Service, { readonly url: string; readonly missing: string }>>;
  }
}

/** `describe`, with the service's address; a skipped one whose title says what is missing. In CI that fails. */
export function describeWith(service: Service, title: string, body: (url: string) => void): void {
  const { url, missing } = inject("services")[service];
  if (url !== "") describe(title, () => body(url));
  else if (process.env.CI === "true") throw new Error(`${title}: ${missing}. In CI it must be there`);
  else describe.skip(`${title} (${missing})`, () => body(url));
}
