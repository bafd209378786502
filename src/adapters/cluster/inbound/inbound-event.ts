// What becomes of records of the inbound topic, for whoever watches the node.

import type { TrunklineError } from "../../../ports/error.js";

export type InboundEvent =
  /** A command was carried out, now or before. */
  | { readonly is: "taken"; readonly partition: number }
  /** A record was given up. */
  | { readonly is: "buried"; readonly partition: number; readonly offset: number; readonly error: TrunklineError }
  /** A record waits, and with it those behind it that have its key; it is tried again. */
  | {
      readonly is: "held";
      readonly partition: number;
      readonly offset: number;
      readonly tries: number;
      readonly cause: unknown;
    }
  /** So many records of a partition are not dealt with yet. */
  | { readonly is: "lag"; readonly partition: number; readonly records: number }
  /** The topic cannot be read; it is tried again. */
  | { readonly is: "failed"; readonly cause: unknown };

export type InboundListener = (event: InboundEvent) => void;
