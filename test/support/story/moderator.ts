// The application's moderator in a story: a publish hook in a server of its own, which does as it is told.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import {
  type BeforePublishRequest,
  type BeforePublishResponse,
  BeforePublishResponseSchema,
  PublishHookService,
} from "../../../src/gen/trunkline/v1/hook_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";

export type Decision = MessageInitShape<typeof BeforePublishResponseSchema>["decision"];

export class Moderator {
  #server: Server | undefined;
  #port = 0;
  #judge: (text: string) => Decision = () => undefined;
  #hangs = false;
  /** The texts that it was asked about, in order. */
  readonly asked: string[] = [];

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Comes to work, each time at the same address. */
  async comes(): Promise<this> {
    const server = new Server();
    server.addService(serviceDefinition(PublishHookService), {
      beforePublish: (
        call: ServerUnaryCall<BeforePublishRequest, BeforePublishResponse>,
        reply: sendUnaryData<BeforePublishResponse>,
      ) => {
        const kind = call.request.message?.body?.kind;
        const text = kind?.case === "text" ? kind.value : "";
        this.asked.push(text);
        if (!this.#hangs) reply(null, create(BeforePublishResponseSchema, { decision: this.#judge(text) }));
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync(this.address, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
    this.#port = await promise;
    this.#server = server;
    return this;
  }

  /** Drops everything and goes. */
  goes(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  judges(judge: (text: string) => Decision): void {
    this.#judge = judge;
  }

  /** Reads what it is asked and says nothing. */
  fallsAsleep(): void {
    this.#hangs = true;
  }

  wakesUp(): void {
    this.#hangs = false;
  }
}
