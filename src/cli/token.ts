// trunkline token

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createDevIssuer, type DevTokenRequest } from "../adapters/auth/dev-issuer.js";
import { createSystemClock } from "../ops/clock.js";
import { parseDuration } from "../ops/config/units.js";
import type { Command, Invocation } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";

/** Where development tokens are signed with, in the data directory. */
export function devKeyFile(dataDirectory: string): string {
  return join(dataDirectory, "dev-key.json");
}

export const tokenCommand: Command = {
  name: "token",
  summary: "issue a token for a server started with `trunkline dev`",
  usage: "--user USER [options]",
  description:
    "Prints a token, and nothing else, signed with the development key in the data directory. Only a server started with `trunkline dev` on the same data directory accepts it.",
  examples: [
    "trunkline token --user ann",
    "trunkline token --user ann --tenant demo --name 'Ann Lee' --ttl 1h",
    "trunkline token --user orders --grants service",
  ],
  positionals: [],
  flags: {
    user: { placeholder: "USER", doc: "Whom the token stands for.", required: true, list: false },
    tenant: { placeholder: "TENANT", doc: "The user's tenant. [demo]", required: false, list: false },
    name: { placeholder: "NAME", doc: "The user's name for people. [the user]", required: false, list: false },
    ttl: { placeholder: "DURATION", doc: "How long it is valid, at most 31d. [12h]", required: false, list: false },
    grants: {
      placeholder: "GRANT,…",
      doc: "What its bearer may do beyond a user: service, admin.",
      required: false,
      list: true,
    },
  },
  groups: [],
  also: ["config", "dataDirectory"],
  without: [],
  defaults: {},
  run: async (invocation) => {
    const { config, terminal } = invocation;
    const keyFile = devKeyFile(config.dataDirectory);
    if (!existsSync(keyFile)) {
      throw new CommandError(
        `there is no development key in ${config.dataDirectory}: start \`trunkline dev\` first, or name its --data-directory`,
      );
    }
    const request = requestOf(invocation);
    try {
      const issuer = await createDevIssuer({ clock: createSystemClock(), keyFile });
      terminal.out(`${await issuer.issue(request)}\n`);
    } catch (error) {
      throw new CommandError(error instanceof Error ? error.message : String(error), EXIT.usage, { cause: error });
    }
    return EXIT.ok;
  },
};

function requestOf({ flags }: Invocation): DevTokenRequest {
  const last = (name: string) => flags.get(name)?.at(-1);
  const tenantId = last("tenant");
  const displayName = last("name");
  const ttl = last("ttl");
  const ttlMs = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl !== undefined && !ttlMs) throw new CommandError("--ttl: must be a duration such as 30s, 15m or 12h");
  const grants = (flags.get("grants") ?? []).flatMap((joined) => joined.split(",")).filter((grant) => grant !== "");
  return {
    userId: last("user") ?? "",
    grants,
    ...(tenantId !== undefined && { tenantId }),
    ...(displayName !== undefined && { displayName }),
    ...(ttlMs !== undefined && { ttlMs }),
  };
}
