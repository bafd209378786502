// Where a list of messages is scrolled to: at its end it stays there, and anywhere else what is seen stays where it is, whatever comes before or
// behind it.

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** So close to the end counts as the end. */
const END_PX = 48;
/** So close to the beginning more is fetched. */
const BEGIN_PX = 600;

export interface ScrollPlace {
  readonly atEnd: boolean;
  readonly toEnd: () => void;
  /** To be called for each scroll event. */
  readonly onScroll: () => void;
}

interface Anchor {
  readonly key: string;
  readonly top: number;
}

/**
 * @param scroller What scrolls. Its lines have `data-key`.
 * @param drawn Something else each time when lines have changed.
 * @param more Fetches what comes before, if there is any.
 */
export function useScrollPlace(
  scroller: RefObject<HTMLElement | null>,
  drawn: unknown,
  more: (() => void) | undefined,
): ScrollPlace {
  const end = useRef(true);
  const anchor = useRef<Anchor | undefined>(undefined);
  /** Where it was left. Whoever has scrolled since is not told of by an event yet. */
  const left = useRef(0);
  const [atEnd, setAtEnd] = useState(true);

  const remember = (element: HTMLElement): void => {
    left.current = element.scrollTop;
    const { scrollHeight, scrollTop, clientHeight } = element;
    end.current = scrollHeight - scrollTop - clientHeight <= END_PX;
    setAtEnd(end.current);
    anchor.current = end.current ? undefined : firstSeen(element);
    if (scrollTop < BEGIN_PX) more?.();
  };

  const restore = (element: HTMLElement): void => {
    if (Math.abs(element.scrollTop - left.current) > 1) remember(element);
    if (end.current) element.scrollTop = element.scrollHeight;
    else if (anchor.current !== undefined) {
      const { key, top } = anchor.current;
      const line = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
      if (line !== null) element.scrollTop += topOf(line, element) - top;
    }
    left.current = element.scrollTop;
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    restore(element);
    // What is loaded may not fill the window.
    if (element.scrollTop < BEGIN_PX) more?.();
  }, [drawn, more]);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    // A banner, a longer draft or a keyboard take room from the lines.
    const observer = new ResizeObserver(() => restore(element));
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);

  return {
    atEnd,
    toEnd: () => {
      end.current = true;
      if (scroller.current !== null) {
        left.current = scroller.current.scrollTop;
        restore(scroller.current);
      }
      setAtEnd(true);
    },
    onScroll: () => {
      if (scroller.current !== null) remember(scroller.current);
    },
  };
}

function firstSeen(scroller: HTMLElement): Anchor | undefined {
  for (const line of scroller.querySelectorAll<HTMLElement>("[data-key]")) {
    const top = topOf(line, scroller);
    if (top + line.offsetHeight > 0) return { key: line.dataset.key ?? "", top };
  }
  return undefined;
}

function topOf(line: HTMLElement, scroller: HTMLElement): number {
  return line.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
}
