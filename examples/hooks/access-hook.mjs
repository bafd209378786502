// An access hook: who is in which room stands in a file, {"lobby": {"ann": "ADMIN", "bob": "MEMBER"}}, read anew for each question.
//
// usage: node access-hook.mjs [HOST:PORT] [FILE]    how long answers hold: TTL_MS=10000

import { readFileSync } from "node:fs";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { AuthorizeRequestSchema, AuthorizeResponseSchema, create, fromBinary, Role, toBinary } from "trunkline/proto";

const [address = "127.0.0.1:9096", file = "members.json"] = process.argv.slice(2);
// Long enough that a question is rare, short enough that who leaves is soon out.
const ttlMs = Number(process.env.TTL_MS ?? 10_000);

function authorize({ roomId, userId }) {
  const role = JSON.parse(readFileSync(file, "utf8"))[roomId]?.[userId];
  // What a member may do is their role's business: this hook says who is in the room, and as what.
  return { allowed: role !== undefined, role: Role[role] ?? Role.UNSPECIFIED, ttlMs };
}

const server = new Server();
server.addService(
  {
    authorize: {
      path: "/trunkline.v1.AccessHookService/Authorize",
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes) => fromBinary(AuthorizeRequestSchema, bytes),
      responseSerialize: (response) => Buffer.from(toBinary(AuthorizeResponseSchema, response)),
    },
  },
  {
    authorize: (call, reply) => {
      try {
        reply(null, create(AuthorizeResponseSchema, authorize(call.request)));
      } catch (error) {
        // No answer: whoever asks decides what that means.
        reply(error);
      }
    },
  },
);
server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`listening on ${address.replace(/:\d+$/, `:${port}`)}`);
});
process.once("SIGTERM", () => server.forceShutdown());
