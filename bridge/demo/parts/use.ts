// How components follow what changes outside of them.

import { useEffect, useRef, useState } from "preact/hooks";
import { dayKey } from "./words.js";

/** Draws the component again after each change, at most once a frame. `subscribe` is called again when one of `of` has changed. */
export function useChanges(subscribe: (changed: () => void) => () => void, of: readonly unknown[]): void {
  const [, draw] = useState(0);
  useEffect(() => {
    let frame = 0;
    const changed = (): void => {
      // A page that is not shown has no frames, and nobody to draw for.
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        draw((count) => count + 1);
      });
    };
    const unsubscribe = subscribe(changed);
    // What has changed before it was listened to.
    changed();
    return () => {
      unsubscribe();
      cancelAnimationFrame(frame);
    };
  }, of);
}

/** The time, in milliseconds since 1970, anew each second while it is asked for. */
export function useNow(wanted: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!wanted) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [wanted]);
  return now;
}

/** The time, in milliseconds since 1970, as of some time today: anew with each day. */
export function useToday(): number {
  const [today, setToday] = useState(Date.now());
  useEffect(() => {
    const look = (): void => setToday((held) => (dayKey(held) === dayKey(Date.now()) ? held : Date.now()));
    const timer = setInterval(look, 60_000);
    return () => clearInterval(timer);
  }, []);
  return today;
}

/** Gives the focus back to what had it when the component came, once it goes. */
export function useFocusBack(): void {
  useEffect(() => {
    const before = document.activeElement;
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
}

/** The same function for as long as the component lives, which does what the last one given does. */
export function useLatest<Arguments extends readonly unknown[], Result>(
  action: (...given: Arguments) => Result,
): (...given: Arguments) => Result {
  const latest = useRef(action);
  latest.current = action;
  const [stable] = useState(
    () =>
      (...given: Arguments) =>
        latest.current(...given),
  );
  return stable;
}
