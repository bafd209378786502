// A publish hook: refuses what swears, and adds what it finds in a message to its metadata.
//
// usage: node publish-hook.mjs [HOST:PORT]    words to refuse: WORDS=darn,heck

import { Server, ServerCredentials } from "@grpc/grpc-js";
import { BeforePublishRequestSchema, BeforePublishResponseSchema, create, fromBinary, toBinary } from "trunkline/proto";

const [address = "127.0.0.1:9095"] = process.argv.slice(2);
const refused = new Set((process.env.WORDS ?? "darn,heck").split(","));
const LINK = /https?:\/\/\S+/g;

function decide({ message }) {
  const { body, metadata } = message;
  // Of an attachment, people read the caption.
  const text = body.kind.case === "text" ? body.kind.value : (body.kind.value.caption ?? "");
  const found = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const word = found.find((each) => refused.has(each));
  // One sentence for people, and a code by which a client says it in the user's language.
  if (word !== undefined) return { case: "refuse", value: { reason: `"${word}" is not said here`, code: "words" } };
  const links = text.match(LINK);
  // The metadata takes the place of the sender's: keep what is there.
  if (links !== null) return { case: "change", value: { metadata: { ...metadata, links } } };
  return { case: "allow", value: {} };
}

const server = new Server();
server.addService(
  {
    beforePublish: {
      path: "/trunkline.v1.PublishHookService/BeforePublish",
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes) => fromBinary(BeforePublishRequestSchema, bytes),
      responseSerialize: (response) => Buffer.from(toBinary(BeforePublishResponseSchema, response)),
    },
  },
  {
    beforePublish: (call, reply) => {
      const decision = decide(call.request);
      reply(null, create(BeforePublishResponseSchema, { decision }));
    },
  },
);
server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`listening on ${address.replace(/:\d+$/, `:${port}`)}`);
});
process.once("SIGTERM", () => server.forceShutdown());
