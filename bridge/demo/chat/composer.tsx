// Where messages are written: new ones, answers and edits.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Sending } from "../../client/outbox/sending.js";
import type { Room } from "../../client/room/room.js";
import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import { faultText } from "../parts/faults.js";
import { IconButton } from "../parts/icon.js";
import { AttachDialog } from "./attach.js";
import { nameOf, textOf } from "./content.js";
import { useChat } from "./context.js";

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
/** What a server takes of a text, unless it was told otherwise, in UTF-8. */
const MAX_BYTES = 16 * 1_024;

export function Composer({ room, title, draft, onDraft, lastOwn, onSent }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [attaching, setAttaching] = useState(false);
  const [fault, setFault] = useState("");
  const { drafts } = useChat();

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
  // After what was edited was taken out again.
  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.value = drafts.get(room.id) ?? "";
    return () => {
      if (element.value === "") drafts.delete(room.id);
      else drafts.set(room.id, element.value);
    };
  }, [room]);

  const leave = (): void => {
    onDraft(NEW);
    field.current?.focus();
  };

  /** Whether it has failed already, as where too much waits; says so. */
  const isLost = ({ state, error }: Sending): boolean => {
    if (state === "failed") setFault(faultText(error));
    return state === "failed";
  };

  const submit = (): void => {
    const element = field.current;
    const text = element?.value.trim() ?? "";
    if (element === null || text === "") return;
    const over = excess(text);
    if (over > 0) {
      setFault(`This is too long: leave out some ${over} characters, or send it in parts.`);
      return;
    }
    setFault("");
    if (draft.kind === "edit") {
      const { messageId = "", body } = draft.of;
      // Where it cannot even wait, what was written stays.
      if (text !== textOf(body) && isLost(room.edit(messageId, text))) return;
      element.value = "";
      leave();
      return;
    }
    const { messageId: replyTo } = draft.kind === "reply" ? draft.to : {};
    if (isLost(room.send(text, replyTo === undefined ? {} : { replyTo }))) return;
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
        {fault !== "" && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <div class="writing">
          <IconButton icon="clip" label="Attach a file" onClick={() => setAttaching(true)} />
          <textarea
            ref={field}
            rows={1}
            dir="auto"
            aria-label="Message"
            placeholder={`Message ${title}`}
            enterkeyhint="send"
            autocomplete="off"
            onInput={({ currentTarget }) => {
              setFault("");
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
            setAttaching(false);
            if (!isLost(room.send({ attachment }))) onSent();
          }}
        />
      )}
    </>
  );
}

/** About how many characters there are too many. */
function excess(text: string): number {
  const bytes = new TextEncoder().encode(text).length;
  return bytes <= MAX_BYTES ? 0 : Math.ceil((bytes - MAX_BYTES) * (text.length / bytes));
}
