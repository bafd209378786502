// A room, people in it who publish and mark, and what they are told of each other's markers.

import type { ServerFrame } from "../../../src/gen/trunkline/v1/session_pb.js";
import type { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";

let keys = 0;

export interface Place {
  readonly seq: number;
  readonly tag: number;
  readonly messageId: string;
}

/** "delivered/read" of a user, as told. */
export type Told = string;

export class Receivers {
  readonly core: TestCore;

  constructor(core: TestCore) {
    this.core = core;
  }

  /** Publishes in room "r". */
  async say(client: TestClient): Promise<Place> {
    const answer = await client.ask(text("r", `say-${++keys}`));
    if (answer.case !== "published") throw new Error(`not published: ${JSON.stringify(answer.value)}`);
    const { position, messageId } = answer.value;
    return { seq: position?.seq ?? 0, tag: position?.tag ?? 0, messageId };
  }

  mark(
    client: TestClient,
    marks: { readonly delivered?: Partial<Place>; readonly read?: Partial<Place> },
  ): Promise<ServerFrame["frame"]> {
    const place = (of: Partial<Place> | undefined) => of && { seq: of.seq ?? 0, tag: of.tag ?? 0 };
    const [delivered, read] = [place(marks.delivered), place(marks.read)];
    const value = { roomId: "r", ...(delivered && { delivered }), ...(read && { read }) };
    return client.ask({ case: "mark", value });
  }

  call(client: TestClient, rpc: Extract<Parameters<TestClient["ask"]>[0], { case: "call" }>["value"]["rpc"]) {
    return client.ask({ case: "call", value: { rpc } });
  }
}

/** Everything a client was told of markers in "r", frame by frame: "user delivered/read". */
export function told(client: TestClient): Told[][] {
  return client
    .all("markers")
    .map(({ value }) =>
      value.markers.map(({ userId, deliveredSeq, readSeq }) => `${userId} ${deliveredSeq}/${readSeq}`),
    );
}

/** Room "r" of ada with these members, everybody subscribed. */
export async function useReceivers(
  members: readonly string[],
  engine?: MemoryEngine,
): Promise<{ receivers: Receivers; core: TestCore; clients: TestClient[] }> {
  const core = await useCore(engine === undefined ? {} : { engine });
  const clients: TestClient[] = [];
  for (const name of ["ada", ...members]) clients.push(await core.connect(name));
  const [ada] = clients;
  if (ada === undefined) throw new Error("nobody is there");
  await core.room(ada, "r", ...members);
  for (const client of clients) await client.ask({ case: "subscribe", value: { roomId: "r" } });
  await settle();
  return { receivers: new Receivers(core), core, clients };
}
