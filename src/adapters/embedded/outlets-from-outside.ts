// What a store keeps of outlets, for an operator, while another process may be using it: LMDB lets several processes read an environment
// and takes their writes one after the other.

import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import {
  DeadLetterDocumentSchema,
  type NotificationDocument,
  NotificationDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import type { DeadLetter } from "../../ports/dead-letter.js";
import { GroupCommit } from "./group-commit.js";
import { everything, firstPart } from "./keys.js";
import { EmbeddedOutletStore } from "./outlet-store.js";
import { closeTables, DATA_FILE, openTables, type Tables } from "./tables.js";

export class OutletsFromOutside {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #store: EmbeddedOutletStore;

  private constructor(tables: Tables) {
    this.#tables = tables;
    this.#commit = new GroupCommit(tables.root);
    this.#store = new EmbeddedOutletStore(tables, this.#commit);
  }

  /** Rejects where `source` holds no store. */
  static async open(source: string): Promise<OutletsFromOutside> {
    const directory = resolve(source);
    await access(join(directory, DATA_FILE)).catch((cause: unknown) => {
      throw new Error(`${directory} holds no store`, { cause });
    });
    // The store is there: how many shards it has was written when it was made.
    return new OutletsFromOutside(await openTables(directory, 1));
  }

  /** By outlet, the oldest first. */
  deadLetters(): readonly DeadLetter[] {
    return Array.from(this.#tables.deadLetters.getRange(everything()), ({ key, value }) => {
      return { outlet: firstPart(key), letter: fromBinary(DeadLetterDocumentSchema, value) };
    });
  }

  /** Asks that a dead letter be tried once more: at once where a server runs, else when one is started. */
  async retry({ outlet, letter }: DeadLetter): Promise<void> {
    await this.#store.retry(outlet, letter.letterId);
  }

  /** Those that were handed over last, the oldest first. */
  notifications(): readonly NotificationDocument[] {
    return Array.from(this.#tables.notifications.getRange(everything()), ({ value }) =>
      fromBinary(NotificationDocumentSchema, value),
    );
  }

  async close(): Promise<void> {
    await this.#commit.close();
    await closeTables(this.#tables);
  }
}
