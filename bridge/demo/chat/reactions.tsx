// Reactions: those that were set, and a few to choose from.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Reaction } from "../../client/gen/types.js";
import { IconButton } from "../parts/icon.js";

const CHOICE = [
  ["👍", "Thumbs up"],
  ["❤️", "Heart"],
  ["😂", "Laughing"],
  ["🎉", "Party"],
  ["👀", "Eyes"],
  ["✅", "Done"],
] as const;

export interface ReactionsProps {
  readonly reactions: readonly Reaction[];
  readonly ownId: string;
  /** Whether Tab leads to them. */
  readonly reached: boolean;
  readonly onReact: (emoji: string, on: boolean) => void;
}

export function Reactions({ reactions, ownId, reached, onReact }: ReactionsProps) {
  return (
    <span class="reactions">
      {reactions.map(({ emoji = "", count = 0, userIds = [] }) => {
        const own = userIds.includes(ownId);
        return (
          <button
            type="button"
            key={emoji}
            aria-pressed={own}
            tabIndex={reached ? 0 : -1}
            aria-label={`${titleOf(emoji)}, ${count}`}
            title={userIds.join(", ")}
            onClick={() => onReact(emoji, !own)}
          >
            {emoji} <span>{count}</span>
          </button>
        );
      })}
    </span>
  );
}

export function ReactionPicker({ onPick }: { readonly onPick: (emoji: string) => void }) {
  const [open, setOpen] = useState(false);
  const picker = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!open) return;
    picker.current?.querySelector<HTMLElement>(".choice button")?.focus();
    const outside = ({ target }: Event): void => {
      if (target instanceof Node && !picker.current?.contains(target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const close = (): void => {
    setOpen(false);
    picker.current?.querySelector<HTMLElement>(".icon-button")?.focus();
  };
  return (
    <span class="picker" ref={picker}>
      <IconButton icon="smile" label="React" pressed={open} onClick={() => setOpen(!open)} />
      {open && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset would be a block of its own.
        <span
          class="choice"
          role="group"
          aria-label="Reactions"
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            event.stopPropagation();
            close();
          }}
        >
          {CHOICE.map(([emoji, title]) => (
            <button
              type="button"
              key={emoji}
              aria-label={title}
              title={title}
              onClick={() => {
                onPick(emoji);
                close();
              }}
            >
              {emoji}
            </button>
          ))}
        </span>
      )}
    </span>
  );
}

function titleOf(emoji: string): string {
  return CHOICE.find(([each]) => each === emoji)?.[1] ?? emoji;
}
