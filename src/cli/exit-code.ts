// What the process's exit code says.

export const EXIT = {
  /** Done, or stopped in order by a signal. */
  ok: 0,
  /** Something failed: the log says what. */
  failed: 1,
  /** The command line or the configuration is wrong: nothing was started. */
  usage: 2,
  /** A port or the data directory is in use, or cannot be used. */
  unavailable: 3,
  /** Stopping took longer than the deadline; what was left was cut off. */
  cutOff: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with one line for a person and an exit code. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.usage, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
