// grpc.health.v1: what load balancers and orchestrators ask. https://github.com/grpc/grpc/blob/master/doc/health-checking.md

import { create } from "@bufbuild/protobuf";
import type { ServerWritableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { Undecodable } from "../../rpc/definition.js";
import { type HandlerContext, refusal, unary, undecodable } from "./handler.js";

type WatchCall = ServerWritableStream<HealthCheckRequest | Undecodable, HealthCheckResponse>;

export class Health {
  readonly implementation: UntypedServiceImplementation;
  readonly #services: ReadonlySet<string>;
  /** What each watcher asked for. */
  readonly #watchers = new Map<WatchCall, string>();
  #serving = false;

  /** Not serving until told so. `services`: full names; the empty name, the server as a whole, is always known. */
  constructor(services: Iterable<string>, context: HandlerContext) {
    this.#services = new Set(["", ...services]);
    this.implementation = {
      check: unary(context, "Health.check", async ({ service }: HealthCheckRequest) => {
        if (this.#services.has(service)) return this.#response(service);
        throw new TrunklineError(ErrorCode.NOT_FOUND, "no such service");
      }),
      list: unary(context, "Health.list", async () => {
        const statuses = Object.fromEntries([...this.#services].map((service) => [service, this.#response(service)]));
        return create(HealthListResponseSchema, { statuses });
      }),
      watch: (call: WatchCall) => {
        if (call.request instanceof Undecodable) {
          call.emit("error", refusal(context, "Health.watch", undecodable(call.request)));
          return;
        }
        this.#watch(call, call.request.service);
      },
    };
  }

  /** All services serve, or none does. Watchers are told. */
  setServing(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    for (const [call, service] of this.#watchers) if (this.#services.has(service)) call.write(this.#response(service));
  }

  /** Ends the watches: they would keep the server open for ever. */
  close(): void {
    for (const call of this.#watchers.keys()) call.end();
    this.#watchers.clear();
  }

  #watch(call: WatchCall, service: string): void {
    // An unknown service is an answer here, not an error: it might appear later.
    call.write(this.#response(service));
    this.#watchers.set(call, service);
    for (const event of ["cancelled", "close", "error"]) call.on(event, () => this.#watchers.delete(call));
  }

  #response(service: string): HealthCheckResponse {
    const known = this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    const status = this.#services.has(service) ? known : ServingStatus.SERVICE_UNKNOWN;
    return create(HealthCheckResponseSchema, { status });
  }
}
