// Services of the contract for whoever has no session: each call takes from the buckets of its caller and their tenant.

import type { DescService } from "@bufbuild/protobuf";
import type { Caller, RoomCalls } from "../room/calls.js";
import { isStream, type ServiceCalls } from "../service-calls.js";
import type { Limiter } from "./limiter.js";
import { classOfCall } from "./operations.js";

export function limitedRooms(rooms: RoomCalls, limiter: Limiter): RoomCalls {
  return {
    call: (caller, request) =>
      limiter.run(limiter.caller(caller.identity), classOfCall(request.case), () => rooms.call(caller, request)),
  };
}

/** Every method counts once as "service", a stream when it is opened. */
export function limitedCalls<S extends DescService>(
  service: S,
  calls: ServiceCalls<S>,
  limiter: Limiter,
): ServiceCalls<S> {
  return new Proxy(calls, {
    get: (target, name) => {
      const called = service.methods.find(({ localName }) => localName === name);
      const method: unknown = Reflect.get(target, name);
      if (called === undefined || typeof method !== "function") return method;
      const answer = (caller: Caller, rest: readonly unknown[]): unknown =>
        Reflect.apply(method, target, [caller, ...rest]);
      if (called.methodKind !== "server_streaming") {
        return (caller: Caller, ...rest: unknown[]) =>
          limiter.run(limiter.caller(caller.identity), "service", async () => answer(caller, rest));
      }
      return async function* (caller: Caller, ...rest: unknown[]) {
        limiter.spend(limiter.caller(caller.identity), "service");
        const responses = answer(caller, rest);
        if (isStream(responses)) yield* responses;
      };
    },
  });
}
