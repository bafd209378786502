// What a round says of itself: a line when all went well, and what happened around each broken promise when it did not.

import type { RoomHistory } from "../history/history.js";
import type { TestServer } from "../server.js";
import type { FaultyCluster } from "./cluster.js";
import type { JudgedRoom } from "./judge.js";
import type { RoundResult } from "./round.js";

/** How much is shown before and after the place of a finding, in events. */
const AROUND = 5;
const MOST_FINDINGS = 20;
const MOST_ROOMS = 5;
const MOST_LINES = 200;
/** Of what nodes have logged as errors, the last ones, shortened. */
const MOST_FAULTS = 10;
const MOST_FAULT_LENGTH = 300;

export function isClean({ verdict }: RoundResult): boolean {
  return verdict.rooms.length === 0 && verdict.violations.length === 0;
}

export function summary({ verdict, acknowledged, refusals, remarks, silentMs, acceptedAgainMs }: RoundResult): string {
  const codes = [...refusals].map(([code, times]) => `${times} ${code.replace("ERROR_CODE_", "")}`);
  return [
    ...remarks,
    `${acknowledged} acknowledged`,
    `${verdict.events} events`,
    `${verdict.voids} void records so far`,
    `refused: ${codes.length === 0 ? "none" : codes.join(", ")}`,
    `a room was silent for ${silentMs} ms at most`,
    `all accept ${acceptedAgainMs} ms after the mending`,
  ].join(", ");
}

/** Everything that helps to find out why. */
export function account(result: RoundResult, cluster: FaultyCluster): readonly string[] {
  const { verdict, notes } = result;
  return [
    ...notes.map((note) => `  ${note}`),
    ...verdict.violations.slice(0, MOST_FINDINGS).map((violation) => `  ${violation}`),
    ...verdict.rooms.slice(0, MOST_ROOMS).flatMap(roomAccount),
    ...processes(cluster).flatMap(({ name, server }) =>
      server.faults.slice(-MOST_FAULTS).map((fault) => `  ${name}: ${fault.slice(0, MOST_FAULT_LENGTH)}`),
    ),
  ].slice(0, MOST_LINES);
}

function processes({ nodes, edges }: FaultyCluster): readonly { readonly name: string; readonly server: TestServer }[] {
  return [...nodes, ...edges.map((server, index) => ({ name: `bridge ${index + 1}`, server }))];
}

function roomAccount({ roomId, history, findings }: JudgedRoom): readonly string[] {
  const shown = findings.slice(0, MOST_FINDINGS);
  const seqs = new Set(shown.flatMap(({ seq }) => range(seq - AROUND, seq + AROUND)));
  const rows = [...seqs].sort((one, other) => one - other).filter((seq) => seq > 0);
  return [
    `  ${roomId}: ${findings.length} findings`,
    ...shown.map(({ kind, what }) => `    ${kind}: ${what}`),
    ...rows.flatMap((seq) => rowsAt(history, seq)),
  ];
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** What each said to stand at a place. */
function rowsAt({ stored, archived = [], acknowledged, receivers }: RoomHistory, seq: number): readonly string[] {
  const said = (who: string, events: RoomHistory["stored"]): readonly string[] =>
    events
      .filter((event) => event.seq === seq)
      .map(({ tag, clientMessageId, eventId }) => `      ${seq} ${who}: ${clientMessageId || eventId} ${tag}`);
  const told = acknowledged.filter((ack) => ack.seq === seq);
  return [
    ...said("log", stored),
    ...said("archive", archived),
    ...told.map(({ clientMessageId, tag, time }) => {
      const when = time === undefined ? "" : `, ${Math.round(time.begun)} to ${Math.round(time.answered)}`;
      return `      ${seq} acknowledged: ${clientMessageId} ${tag}${when}`;
    }),
    ...receivers.flatMap(({ name, events }) => said(name, events)),
  ];
}
