// Services of the contract that this version does not serve yet: listed by reflection, and answered with a typed refusal.

import type { DescService } from "@bufbuild/protobuf";
import type { ServerWritableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type HandlerContext, refusal, unary } from "./handler.js";

export function unimplemented(service: DescService, context: HandlerContext): UntypedServiceImplementation {
  const methods: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    const operation = `${service.name}.${method.localName}`;
    const error = () => new TrunklineError(ErrorCode.UNSUPPORTED, `${operation} is not implemented`);
    methods[method.localName] =
      method.methodKind === "unary"
        ? unary(context, operation, () => Promise.reject(error()))
        : (stream: ServerWritableStream<unknown, unknown>) => {
            stream.emit("error", refusal(context, operation, error()));
          };
  }
  return methods;
}
