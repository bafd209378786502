// What a cluster keeps of outlets, for an operator: read and asked for beside its nodes.

import { fromBinary } from "@bufbuild/protobuf";
import { type DeadLetterDocument, DeadLetterDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { DeadLetter } from "../../ports/dead-letter.js";
import { asking, bytesOf, connectMongo, type MongoConnection, type MongoOptions } from "./mongo.js";
import { MongoOutletStore } from "./mongo-outlet-store.js";

export class ClusterOutletsFromOutside {
  readonly #mongo: MongoConnection;
  readonly #store: MongoOutletStore;

  private constructor(mongo: MongoConnection) {
    this.#mongo = mongo;
    this.#store = new MongoOutletStore(mongo.collections);
  }

  /** Rejects with UNAVAILABLE. Makes nothing where there is nothing. */
  static async open(options: Omit<MongoOptions, "shards" | "indexes">): Promise<ClusterOutletsFromOutside> {
    // Letters are found by outlet and id: how many shards there are does not matter.
    return new ClusterOutletsFromOutside(await connectMongo({ ...options, shards: 1, indexes: false }));
  }

  /** By outlet, the oldest first. */
  deadLetters(): Promise<readonly DeadLetter[]> {
    return asking(async () => {
      const rows = await this.#mongo.collections.deadLetters.find().sort({ _id: 1 }).toArray();
      return rows.map(({ _id, doc }) => {
        const letter: DeadLetterDocument = fromBinary(DeadLetterDocumentSchema, bytesOf(doc));
        return { outlet: _id.slice(0, _id.indexOf("#")), letter };
      });
    });
  }

  /** Asks that a dead letter be tried once more: at once where a node runs, else when one is started. */
  async retry({ outlet, letter }: DeadLetter): Promise<void> {
    await this.#store.retry(outlet, letter.letterId);
  }

  close(): Promise<void> {
    return this.#mongo.close();
  }
}
