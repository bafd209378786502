// A webhook: takes events and notifications by posting them to a URL.

import { create, toJsonString } from "@bufbuild/protobuf";
import { type Notification, type WebhookPost, WebhookPostSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { EventBatch, EventSink } from "../../ports/event-sink.js";
import type { Notifier } from "../../ports/notifier.js";
import { SignedPost, type SignedPostOptions } from "./signed-post.js";

export interface WebhookOptions extends SignedPostOptions {
  /** Told to the receiver, which may serve several. */
  readonly endpoint: string;
}

export class Webhook implements EventSink, Notifier {
  readonly #endpoint: string;
  readonly #post: SignedPost;

  /** Throws where the URL is not one to send what users say to. */
  constructor(options: WebhookOptions) {
    this.#endpoint = options.endpoint;
    this.#post = new SignedPost(options);
  }

  async deliver({ id, rooms }: EventBatch): Promise<void> {
    await this.#send(
      create(WebhookPostSchema, {
        postId: id,
        endpoint: this.#endpoint,
        rooms: rooms.map(({ room: { tenantId, roomId }, events }) => {
          return { tenantId, roomId, events: events.map(({ event }) => event) };
        }),
      }),
    );
  }

  async notify(notification: Notification): Promise<void> {
    const postId = notification.notificationId;
    await this.#send(create(WebhookPostSchema, { postId, endpoint: this.#endpoint, notifications: [notification] }));
  }

  /** Cuts off what is under way. */
  close(): void {
    this.#post.close();
  }

  async #send(post: WebhookPost): Promise<void> {
    await this.#post.send(post.postId, toJsonString(WebhookPostSchema, post));
  }
}
