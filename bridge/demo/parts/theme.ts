// Dark, light, or as the system has it.

import { useEffect, useState } from "preact/hooks";
import { keptInBrowser } from "./kept.js";

export type Theme = "system" | "light" | "dark";

const KEY = "theme";
const NEXT: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };

function keptTheme(): Theme {
  const kept = keptInBrowser.get(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** Before anything is drawn. */
export function showKeptTheme(): void {
  document.documentElement.dataset.theme = keptTheme();
}

/** The theme, and what chooses the next one. */
export function useTheme(): readonly [Theme, () => void] {
  const [theme, setTheme] = useState(keptTheme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    keptInBrowser.set(KEY, theme);
  }, [theme]);
  return [theme, () => setTheme(NEXT[theme])];
}
