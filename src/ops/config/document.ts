// The declaration, written out: .env.example, the table of docs/operations.md, the effective configuration.

import { flagName, variableName } from "./names.js";
import type { Option } from "./option.js";
import {
  type Config,
  isOptionKey,
  OPTION_GROUPS,
  OPTION_KEYS,
  OPTIONS,
  type OptionGroup,
  type OptionKey,
} from "./options.js";
import type { Resolved } from "./resolve.js";

const MASK = "********";

/** The groups' titles in order, each with its options' keys. */
export function groups(): readonly { readonly title: OptionGroup; readonly keys: readonly OptionKey[] }[] {
  const titles = Object.keys(OPTION_GROUPS) as OptionGroup[];
  return titles.map((title) => ({ title, keys: Object.keys(OPTION_GROUPS[title]).filter(isOptionKey) }));
}

/** An option's declaration, whatever its value's type. */
export function declared(key: OptionKey): Option<unknown> {
  return OPTIONS[key];
}

/** A default as one would write it. Empty: there is none. */
export function defaultText(key: OptionKey): string {
  return declared(key).format(declared(key).fallback);
}

/** The text of .env.example: every variable with its meaning and default, commented out. */
export function environmentTemplate(): string {
  const lines = [
    "# Every setting Trunkline reads from the environment, with its default. Copy to .env and change what you need.",
  ];
  for (const { title, keys } of groups()) {
    lines.push("", `# ---- ${title} ----`);
    for (const key of keys) lines.push("", `# ${declared(key).doc}`, `#${variableName(key)}=${defaultText(key)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The options as tables in Markdown. */
export function configurationTables(): string {
  const tables = groups().map(({ title, keys }) => {
    const rows = keys.map((key) => {
      const option = declared(key);
      const flag = option.secret ? "–" : `\`--${flagName(key)}\``;
      const fallback = defaultText(key);
      return `| \`${key}\` | ${flag} | \`${variableName(key)}\` | ${fallback === "" ? "–" : `\`${fallback}\``} | ${option.doc} |`;
    });
    return [
      `### ${title}`,
      "",
      "| Option | Flag | Variable | Default | Meaning |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n");
  });
  return tables.join("\n\n");
}

/** One value as text; secrets masked, "" where nothing is set. */
export function shownValue(key: OptionKey, config: Config): string {
  const value = config[key];
  const option = declared(key);
  return option.secret && value !== undefined ? (option.masked?.(value) ?? MASK) : option.format(value);
}

/** The effective configuration, one line each: name, value, where it came from. */
export function effectiveTable({ config, origins }: Resolved): string {
  const rows = OPTION_KEYS.map((key) => [key, shownValue(key, config) || "-", origins[key]] as const);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return `${rows.map(([key, value, origin]) => `${key.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${origin}`).join("\n")}\n`;
}

/** The same for programs. */
export function effectiveJson({ config, origins }: Resolved): string {
  const entries = OPTION_KEYS.map((key) => {
    const isHidden = declared(key).secret && config[key] !== undefined;
    const value = isHidden ? shownValue(key, config) : (config[key] ?? null);
    return [key, { value, origin: origins[key] }] as const;
  });
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}
