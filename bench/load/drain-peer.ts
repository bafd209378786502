// The load of `drain` for Socket.IO: its own client, with what it does by default when a connection is lost.

import { kill } from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { io, type Socket } from "socket.io-client";
import type { PeerTarget } from "../target.js";
import { findMarker, messageText, numberAt } from "../wire/message-text.js";
import { type DrainInput, roomOf } from "./drain.js";
import { pace } from "./pace.js";
import { mapPooled } from "./pool.js";
import { Absences, type RestartOutcome } from "./restart-figures.js";

export type PeerDrainInput = Omit<DrainInput, "target"> & { readonly target: PeerTarget };

const CONNECTING_AT_ONCE = 50;
const LOOK_MS = 50;
/** From everybody's being back to counting what has not come. */
const SETTLE_MS = 2_000;

export async function runPeerDrain(input: PeerDrainInput): Promise<RestartOutcome> {
  const { target, clients } = input;
  const absences = new Absences();
  const heard = Array.from({ length: clients }, () => new Map<number, number>());
  const acknowledged = new Map<number, number>();
  let sent = 0;
  const sockets = await mapPooled(clients, CONNECTING_AT_ONCE, (index) =>
    connect(target.port, index, absences, heard[index] ?? new Map()),
  );

  const count = Math.floor(((input.beforeMs + input.talkingMs) / 1_000) * input.messagesPerSecond);
  const restartAt = Math.floor((input.beforeMs / 1_000) * input.messagesPerSecond);
  const schedule = { startAt: performance.now(), intervalMs: 1_000 / input.messagesPerSecond, count };
  await pace(schedule, (n) => {
    if (n === restartAt) kill(target.pid, "SIGTERM");
    const index = (n * 7_919) % clients;
    sent++;
    sockets[index]?.emit("publish", `room-${roomOf(index)}`, messageText(n), () => acknowledged.set(n, roomOf(index)));
  });
  const deadline = performance.now() + input.deadlineMs;
  while ((absences.away > 0 || absences.gone < clients) && performance.now() < deadline) await pause(LOOK_MS);
  await pause(SETTLE_MS);
  for (const socket of sockets) socket.disconnect();

  let lost = 0;
  let doubled = 0;
  for (const [n, room] of acknowledged) {
    for (const [index, seen] of heard.entries())
      if (roomOf(index) === room && !seen.has(n) && !absences.isAway(index)) lost++;
  }
  for (const seen of heard) for (const times of seen.values()) doubled += times - 1;
  return {
    ...absences.figures(),
    published: acknowledged.size,
    unanswered: sent - acknowledged.size,
    lost,
    doubled,
  };
}

function connect(port: number, index: number, absences: Absences, heard: Map<number, number>): Promise<Socket> {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: ["websocket"],
    forceNew: true,
    query: { room: `room-${roomOf(index)}` },
  });
  socket.on("event", (event: unknown) => {
    const text = typeof event === "object" && event !== null ? Reflect.get(event, "text") : undefined;
    const bytes = Buffer.from(String(text));
    const n = numberAt(bytes, findMarker(bytes, 0, bytes.length));
    heard.set(n, (heard.get(n) ?? 0) + 1);
  });
  socket.io.on("reconnect_attempt", () => absences.tried(performance.now()));
  socket.on("disconnect", () => {
    if (socket.active) absences.left(index, performance.now());
  });
  return new Promise((resolve, reject) => {
    socket.on("connect", () => {
      absences.back(index, performance.now());
      resolve(socket);
    });
    socket.once("connect_error", reject);
  });
}
