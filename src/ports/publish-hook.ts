// The application's say in what is published.

import type { JsonObject } from "@bufbuild/protobuf";
import type { Actor, Body, Mention, MessageCreated, RoomKind } from "../gen/trunkline/v1/message_pb.js";

/** A message about to be stored, or what a message is about to become. */
export interface Publication {
  readonly tenantId: string;
  readonly roomId: string;
  readonly roomKind: RoomKind;
  readonly sender: Actor;
  /** The sender's key: the same for every repeat. */
  readonly key: string;
  /** Without message_index and expires_at. Of an edit: body, mentions and metadata as they would be. */
  readonly message: MessageCreated;
  /** The message that is to be edited; empty: a new one. */
  readonly editedMessageId: string;
}

export type PublishVerdict =
  | { readonly decision: "allow" }
  | {
      readonly decision: "change";
      /** Each undefined: unchanged. */
      readonly body: Body | undefined;
      readonly mentions: Mention[] | undefined;
      readonly metadata: JsonObject | undefined;
    }
  | {
      readonly decision: "refuse";
      /** At most 256 bytes. */
      readonly reason: string;
      /** An id of the application's, or empty. */
      readonly code: string;
    };

export interface PublishHook {
  /**
   * Rejects where there is no answer, within a deadline of its own: with UNAVAILABLE and `retryAfterMs`. May be asked again for the
   * same key after it has rejected, and may then answer otherwise.
   */
  beforePublish(publication: Publication): Promise<PublishVerdict>;
}
