// Where messages are written: new ones, answers and edits.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Room } from "../../client/room/room.js";
import type { TimelineMessage } from "../../client/timeline/timeline.js";
import { IconButton } from "../parts/icon.js";
import { AttachDialog } from "./attach.js";
import { nameOf, textOf } from "./content.js";

export type Draft =
  | { readonly kind: "new" }
  | { readonly kind: "reply"; readonly to: TimelineMessage }
  | { readonly kind: "edit"; readonly of: TimelineMessage };

export interface ComposerProps {
  readonly room: Room;
  readonly title: string;
  readonly draft: Draft;
  readonly onDraft: (draft: Draft) => void;
  /** The user's last message, for ↑ in an empty field. */
  readonly lastOwn: () => TimelineMessage | undefined;
  readonly onSent: () => void;
}

const NEW: Draft = { kind: "new" };

export function Composer({ room, title, draft, onDraft, lastOwn, onSent }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [attaching, setAttaching] = useState(false);

  useLayoutEffect(() => {
    const element = field.current;
    if (element === null || draft.kind === "new") return;
    element.focus();
    if (draft.kind !== "edit") return;
    const aside = element.value;
    element.value = textOf(draft.of.body);
    // What was being written before is there again once this is no longer edited, whatever comes instead.
    return () => {
      element.value = aside;
    };
  }, [draft]);

  const leave = (): void => {
    onDraft(NEW);
    field.current?.focus();
  };

  const submit = (): void => {
    const element = field.current;
    const text = element?.value.trim() ?? "";
    if (element === null || text === "") return;
    if (draft.kind === "edit") {
      const { messageId = "", body } = draft.of;
      if (text !== textOf(body)) room.edit(messageId, text);
      element.value = "";
      leave();
      return;
    }
    const { messageId: replyTo } = draft.kind === "reply" ? draft.to : {};
    room.send(text, replyTo === undefined ? {} : { replyTo });
    element.value = "";
    element.focus();
    if (draft.kind !== "new") onDraft(NEW);
    onSent();
  };

  const keyPressed = (event: KeyboardEvent): void => {
    // Enter sends, Shift+Enter makes a new line; not while an input method composes.
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && draft.kind !== "new") {
      event.preventDefault();
      leave();
    } else if (event.key === "ArrowUp" && field.current?.value === "" && draft.kind === "new") {
      const of = lastOwn();
      if (of === undefined) return;
      event.preventDefault();
      onDraft({ kind: "edit", of });
    }
  };

  return (
    <>
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {draft.kind !== "new" && (
          <div class="draft">
            <p>
              <strong>{draft.kind === "edit" ? "Editing" : `Replying to ${nameOf(draft.to.sender)}`}</strong>
              <span>{textOf(draft.kind === "edit" ? draft.of.body : draft.to.body)}</span>
            </p>
            <IconButton icon="close" label={draft.kind === "edit" ? "Stop editing" : "Do not reply"} onClick={leave} />
          </div>
        )}
        <div class="writing">
          <IconButton icon="clip" label="Attach a file" onClick={() => setAttaching(true)} />
          <textarea
            ref={field}
            rows={1}
            maxLength={8_000}
            aria-label="Message"
            placeholder={`Message ${title}`}
            enterkeyhint="send"
            autocomplete="off"
            onInput={({ currentTarget }) => {
              if (draft.kind === "edit") return;
              if (currentTarget.value.trim() === "") room.typing.stop();
              else room.typing.start();
            }}
            onKeyDown={keyPressed}
          />
          <button type="submit" class="primary">
            {draft.kind === "edit" ? "Save" : "Send"}
          </button>
        </div>
      </form>
      {attaching && (
        <AttachDialog
          onClose={() => setAttaching(false)}
          onAttach={(attachment) => {
            room.send({ attachment });
            setAttaching(false);
            onSent();
          }}
        />
      )}
    </>
  );
}
