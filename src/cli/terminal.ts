// The world a command runs in, injected so that tests can look at what was printed.

export interface Terminal {
  /** Results: what a person or a program asked for. */
  out(text: string): void;
  /** Everything else: errors and warnings. */
  err(text: string): void;
  /** Whether a person reads `out`. */
  readonly interactive: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths start and `.env` lies. */
  readonly directory: string;
}

/** This process's own. A reader that has gone is no error: what nobody reads need not be written. */
export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stdout.isTTY === true,
    environment: process.env,
    directory: process.cwd(),
  };
}
