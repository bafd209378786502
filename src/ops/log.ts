// The log: structured lines through pino, readable on a terminal.

import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";
import { prettyFactory } from "pino-pretty";
import { LineOutput } from "./line-output.js";
import { redactText } from "./redact.js";

export type { Logger } from "pino";

export interface LogOptions {
  readonly level: string;
  readonly format: "pretty" | "json";
  /** Where lines go: a file descriptor, or a stream (tests). */
  readonly to: number | DestinationStream;
}

export interface Log {
  readonly logger: Logger;
  /** Writes out what is buffered, before the process ends; a reader that is gone or takes nothing is not waited for. */
  flush(): void;
}

/** Lines that a stalled reader of the log has not taken; beyond it they are dropped rather than held in memory. */
const LONGEST_BACKLOG_BYTES = 16 * 1024 * 1024;
const SECRET_FIELDS = ["token", "authorization", "secret", "password", "cookie"];
const MESSAGE_FIELD = "msg";

/** A log whose lines carry no token: not under a telling name, and not in an error's text. */
export function createLog(options: LogOptions): Log {
  const output = outputOf(options.to);
  const stream = options.format === "json" ? output.stream : prettied(output.stream, options.to);
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: MESSAGE_FIELD,
      timestamp: options.format === "json" ? pino.stdTimeFunctions.isoTime : pino.stdTimeFunctions.epochTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[removed]" },
      serializers: { err: errorFields },
    },
    stream,
  );
  return { logger, flush: output.flush };
}

interface Output {
  readonly stream: DestinationStream;
  flush(): void;
}

function outputOf(to: LogOptions["to"]): Output {
  if (typeof to !== "number") return { stream: to, flush: () => {} };
  const output = new LineOutput(to, LONGEST_BACKLOG_BYTES);
  return { stream: output, flush: () => output.flush() };
}

function prettied(stream: DestinationStream, to: LogOptions["to"]): DestinationStream {
  const format = prettyFactory({
    colorize: to === 1 && process.stdout.isTTY,
    messageKey: MESSAGE_FIELD,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "hostname,pid",
    singleLine: true,
  });
  return { write: (line) => stream.write(format(line)) };
}

function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? redactText(error) : error;
  const { type, message, stack } = stdSerializers.err(error);
  const code = "code" in error && typeof error.code !== "object" ? { code: error.code } : {};
  return { type, message: redactText(message), ...code, stack: redactText(stack) };
}
