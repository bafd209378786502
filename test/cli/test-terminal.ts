// A terminal that remembers what was printed.

import type { Terminal } from "../../src/cli/terminal.js";

export interface TestTerminal extends Terminal {
  readonly printed: () => string;
  readonly complained: () => string;
}

export function testTerminal(
  given: Partial<Pick<Terminal, "environment" | "directory" | "interactive">> = {},
): TestTerminal {
  const out: string[] = [];
  const err: string[] = [];
  return {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    interactive: false,
    environment: {},
    directory: "/nonexistent",
    ...given,
    printed: () => out.join(""),
    complained: () => err.join(""),
  };
}
