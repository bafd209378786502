// The last frames in both directions, the newest first. Each can be opened to see what it holds.

import { useState } from "preact/hooks";
import type { TappedFrame } from "../link/wiretap.js";
import { msOf } from "./round-trips.js";

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hour12: false,
});

export function FrameList({
  frames,
  onClear,
}: {
  readonly frames: readonly TappedFrame[];
  readonly onClear: () => void;
}) {
  const [held, setHeld] = useState<readonly TappedFrame[] | undefined>(undefined);
  const shown = [...(held ?? frames)].reverse();
  return (
    <section aria-label="Frames" class="frames">
      <header>
        <h3>Frames</h3>
        <span class="muted small">the last {shown.length}</span>
        <button
          type="button"
          class="link"
          aria-pressed={held !== undefined}
          onClick={() => setHeld(held === undefined ? frames : undefined)}
        >
          {held === undefined ? "Hold" : "Go on"}
        </button>
        <button type="button" class="link" onClick={onClear}>
          Clear
        </button>
      </header>
      <ol>
        {shown.map((tapped) => (
          <Frame key={tapped.number} {...tapped} />
        ))}
      </ol>
    </section>
  );
}

function Frame({ direction, kind, atMs, frame, tookMs }: TappedFrame) {
  const [open, setOpen] = useState(false);
  return (
    <li class={direction}>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="way" role="img" aria-label={direction === "out" ? "sent" : "received"}>
          {direction === "out" ? "↑" : "↓"}
        </span>
        <span class="kind">{kind || "empty"}</span>
        <span class="muted">{tookMs === undefined ? "" : msOf(tookMs)}</span>
        <time class="muted">{CLOCK.format(atMs)}</time>
      </button>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        <pre tabIndex={0}>{JSON.stringify(frame, undefined, 2)}</pre>
      )}
    </li>
  );
}
