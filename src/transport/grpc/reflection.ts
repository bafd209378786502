// Server reflection, so that `grpcurl` and `buf curl` work without files. https://grpc.io/docs/guides/reflection/

import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { file_google_rpc_status } from "../../gen/google/rpc/status_pb.js";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { serviceDefinition, Undecodable } from "../../rpc/definition.js";
import { DescriptorIndex } from "./descriptor-index.js";
import { type HandlerContext, refusal, undecodable } from "./handler.js";
import { http2StreamOf, letGoOnceReset } from "./http2-stream.js";

type ReflectionCall = ServerDuplexStream<ServerReflectionRequest | Undecodable, ServerReflectionResponse>;
type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

export const reflectionDefinition = serviceDefinition(ServerReflection);

/** v1alpha has other names and the same bytes; older clients ask for nothing else. */
export const reflectionAlphaDefinition = {
  serverReflectionInfo: {
    ...reflectionDefinition.serverReflectionInfo,
    path: `/${ServerReflectionAlpha.typeName}/${ServerReflectionAlpha.method.serverReflectionInfo.name}`,
  },
};

export class Reflection {
  readonly implementation: UntypedServiceImplementation;
  readonly #index: DescriptorIndex;
  readonly #calls = new Set<ReflectionCall>();

  constructor(services: readonly DescService[], context: HandlerContext) {
    // The types of error details are in no method's signature, and tools want to show them.
    this.#index = new DescriptorIndex(
      [...services, ServerReflection, ServerReflectionAlpha],
      [file_google_rpc_status, file_google_rpc_error_details],
    );
    this.implementation = { serverReflectionInfo: (call: ReflectionCall) => this.#serve(call, context) };
  }

  /** Ends the streams that clients keep open. */
  close(): void {
    for (const call of this.#calls) call.end();
    this.#calls.clear();
  }

  #serve(call: ReflectionCall, context: HandlerContext): void {
    this.#calls.add(call);
    letGoOnceReset(http2StreamOf(call));
    for (const event of ["cancelled", "close", "error"]) call.on(event, () => this.#calls.delete(call));
    call.on("end", () => call.end());
    // A client that asks and does not read is not read from either.
    call.on("drain", () => call.resume());
    call.on("data", (request: ServerReflectionRequest | Undecodable) => {
      if (request instanceof Undecodable) {
        call.emit("error", refusal(context, "ServerReflection.serverReflectionInfo", undecodable(request)));
        return;
      }
      const messageResponse = this.#answer(request.messageRequest);
      const init = { validHost: request.host, originalRequest: request, messageResponse };
      if (!call.write(create(ServerReflectionResponseSchema, init))) call.pause();
    });
  }

  #answer(request: ServerReflectionRequest["messageRequest"]): Answer {
    switch (request.case) {
      case "listServices": {
        const service = this.#index.services.map((name) => ({ name }));
        return { case: "listServicesResponse", value: { service } };
      }
      case "fileByFilename":
        return files(this.#index.fileNamed(request.value), `no file ${request.value}`);
      case "fileContainingSymbol":
        return files(this.#index.fileOf(request.value), `no symbol ${request.value}`);
      case "fileContainingExtension":
        return failed(status.NOT_FOUND, "no extensions are defined");
      case "allExtensionNumbersOfType":
        if (!this.#index.has(request.value)) return failed(status.NOT_FOUND, `no type ${request.value}`);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value } };
      case undefined:
        return failed(status.INVALID_ARGUMENT, "message_request must be set");
    }
  }
}

function files(fileDescriptorProto: readonly Uint8Array[] | undefined, otherwise: string): Answer {
  if (fileDescriptorProto === undefined) return failed(status.NOT_FOUND, otherwise);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: [...fileDescriptorProto] } };
}

function failed(errorCode: status, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
