// Lines to a reader that takes nothing for a while.

import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LineOutput } from "../../src/ops/line-output.js";

/** More than a pipe holds. */
const LINES = Array.from({ length: 400 }, (_, at) => `${at} ${"x".repeat(990)}\n`);

function usePipe() {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-lines-"));
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(descriptor);
    rmSync(directory, { recursive: true, force: true });
  });
  const taken = Buffer.alloc(1_000_000);
  let length = 0;
  return {
    descriptor,
    /** All that the pipe holds now. */
    read: (): string => {
      try {
        for (;;) length += readSync(descriptor, taken, length, taken.length - length, null);
      } catch {
        return taken.toString("utf8", 0, length);
      }
    },
  };
}

test("a flush does not wait for ever for a reader that takes nothing", async () => {
  const { descriptor, read } = usePipe();
  const output = new LineOutput(descriptor, 1_000_000);
  for (const line of LINES) output.write(line);
  output.flush();
  expect(read().length).toBeLessThan(LINES.join("").length);
  // It was under way before the flush, and must not come to whoever has the descriptor's number after this.
  await expect.poll(read, { timeout: 10_000 }).toMatch(/(^|\n)0 x/);
});

test("a reader that is slow gets every line in order", async () => {
  const { descriptor, read } = usePipe();
  const output = new LineOutput(descriptor, 1_000_000);
  for (const line of LINES) output.write(line);
  await expect.poll(read, { timeout: 10_000 }).toBe(LINES.join(""));
});

test("what a slow reader has not taken is kept up to a bound, and dropped beyond it", async () => {
  const { descriptor, read } = usePipe();
  const output = new LineOutput(descriptor, 100_000);
  for (const line of LINES) output.write(line);
  await expect.poll(read, { timeout: 10_000 }).toContain("\n99 ");
  output.write("later\n");
  await expect.poll(read, { timeout: 10_000 }).toContain("\nlater\n");
  expect(read()).not.toContain("\n399 ");
});
