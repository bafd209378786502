// What the embedded store promises when processes die, come twice, or run out of disk.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { EmbeddedStore } from "../../../src/adapters/embedded/lmdb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { ALL } from "../../contract/samples.js";
import { StoppedClock, useDirectory, useStore } from "./use-store.js";

const PROGRAM = join(import.meta.dirname, "store-process.js");

/** Starts the program, whose lines are read one by one; it is gone after the test. */
function useProcess(
  mode: string,
  directory: string,
  limit = "",
): { process: ChildProcess; lines: AsyncIterator<string> } {
  const args = ["-c", `${limit} exec "$0" "$@"`, process.execPath, PROGRAM, mode, directory];
  const child = spawn("bash", args, { stdio: ["pipe", "pipe", "pipe"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += String(chunk);
  });
  child.on("exit", (code) => {
    if (code !== null && code !== 0) process.stderr.write(errors);
  });
  return { process: child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { done, value } = await lines.next();
  if (done) throw new Error("the process has ended");
  return value;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** Opens what the process has left and checks that each shard is dense, whole, and has at least what was reported. */
async function checkShards(directory: string, reported: ReadonlyMap<number, number>): Promise<void> {
  const store = await EmbeddedStore.open({ directory, clock: new StoppedClock() });
  for (let shard = 0; shard < 4; shard++) {
    const { end } = await store.log.open(shard);
    expect(end).toBeGreaterThanOrEqual(reported.get(shard) ?? 0);
    const seqs = Array.from({ length: end }, (_, index) => index + 1);
    const records = await store.log.read(shard, 0, end + 1);
    expect(records.map(({ event }) => event.seq)).toEqual(seqs);
    expect(records.map(({ offset }) => offset)).toEqual(seqs.map((seq) => seq - 1));
    expect(records.every(({ event }) => Buffer.from(event.bytes).toString().startsWith(`event ${event.seq} `))).toBe(
      true,
    );
    const room = roomRef("acme", `room-${shard}`);
    expect((await store.archive.events(room, ALL)).map(({ seq }) => seq)).toEqual(seqs);
    expect((await store.archive.messages(room, { afterIndex: 0, limit: end + 1 })).length).toBe(end);
    expect((await store.archive.room(room))?.appliedSeq ?? 0).toBe(end);
    if (end > 0) expect(await store.archive.seqOf(room, `e-${end}`)).toBe(end);
  }
  await store.close();
}

describe("a process that is killed", () => {
  it("has every append that was answered, whole and dense, when it comes back", async () => {
    const directory = await useDirectory();
    for (const lines of [1, 40, 150, 400]) {
      const appender = useProcess("append", directory);
      const reported = new Map<number, number>();
      for (let line = 0; line < lines; line++) {
        const [shard, end] = (await nextLine(appender.lines)).split(" ").map(Number);
        reported.set(shard ?? 0, end ?? 0);
      }
      await kill(appender.process);
      // What it had written when it died was answered too.
      for (let line = await appender.lines.next(); !line.done; line = await appender.lines.next()) {
        const [shard, end] = line.value.split(" ").map(Number);
        if (end !== undefined && shard !== undefined) reported.set(shard, end);
      }
      await checkShards(directory, reported);
    }
  });

  it("lets go of the directory", async () => {
    const directory = await useDirectory();
    for (let round = 0; round < 3; round++) {
      const holder = useProcess("hold", directory);
      expect(await nextLine(holder.lines)).toBe("open");
      await kill(holder.process);
    }
    await useStore({ directory });
  });
});

describe("a directory in use", () => {
  it("is refused to a second process, naming the directory and the holder", async () => {
    const directory = await useDirectory();
    const holder = useProcess("hold", directory);
    await nextLine(holder.lines);
    const { pid } = holder.process;
    for (let attempt = 0; attempt < 2; attempt++) {
      const opened = EmbeddedStore.open({ directory, clock: new StoppedClock() });
      await expect(opened).rejects.toThrow(`the data directory ${directory} is in use by process ${pid}`);
    }
    await kill(holder.process);
    await useStore({ directory });
  });

  it("is refused to its own process, and stays refused to others", async () => {
    const store = await useStore();
    const { directory } = store;
    const again = EmbeddedStore.open({ directory, clock: new StoppedClock() });
    await expect(again).rejects.toThrow(`is in use by process ${process.pid}`);
    const other = useProcess("hold", directory);
    const [code] = await once(other.process, "exit");
    expect(code).not.toBe(0);
    await store.close();
    await useStore({ directory });
  });
});

describe("a full disk", () => {
  it("refuses the append as UNAVAILABLE and keeps nothing of it", async () => {
    const directory = await useDirectory();
    // No file beyond 1 MiB: the write fails as on a full disk.
    const filler = useProcess("fill", directory, "ulimit -f 1024;");
    const exited = once(filler.process, "exit");
    const seen = JSON.parse(await nextLine(filler.lines));
    expect(seen).toMatchObject({ code: ErrorCode.UNAVAILABLE, end: seen.durable, appliedSeq: seen.durable });
    expect(seen.durable).toBeGreaterThan(0);
    expect(await exited).toEqual([0, null]);
    await checkShards(directory, new Map([[0, seen.durable]]));
  });
});
