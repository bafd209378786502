// What messages say, and what they answer.

import type { Actor, Body } from "../../client/gen/types.js";
import type { TimelineMessage } from "../../client/timeline/timeline.js";
import { Icon } from "../parts/icon.js";

export function Content({ body, deleted }: { readonly body: Body | undefined; readonly deleted: boolean }) {
  if (deleted) return <p class="bubble">This message was deleted.</p>;
  const { attachment } = body ?? {};
  if (attachment === undefined) return <p class="bubble">{textOf(body)}</p>;
  const { url = "", name, caption } = attachment;
  const label = (
    <>
      <Icon name="file" />
      <span>{name || url}</span>
    </>
  );
  // Nothing that could run something here.
  const opens = /^https?:\/\//i.test(url);
  return (
    <>
      {opens ? (
        <a class="attachment" href={url} target="_blank" rel="noopener noreferrer">
          {label}
        </a>
      ) : (
        <span class="attachment">{label}</span>
      )}
      {caption !== undefined && <p class="bubble">{caption}</p>}
    </>
  );
}

export interface QuoteProps {
  /** Undefined: it is not among those that are loaded. */
  readonly answered: TimelineMessage | undefined;
  readonly onShow: () => void;
}

export function Quote({ answered, onShow }: QuoteProps) {
  if (answered === undefined) return <p class="quote">An earlier message</p>;
  return (
    <button type="button" class="quote" onClick={onShow}>
      <strong>{nameOf(answered.sender)}</strong>
      <span>{answered.deleted ? "This message was deleted." : textOf(answered.body)}</span>
    </button>
  );
}

/** What a message says, in one text. */
export function textOf(body: Body | undefined): string {
  const { text, attachment, system, custom } = body ?? {};
  return text ?? attachment?.name ?? attachment?.url ?? system?.text ?? custom?.type ?? "";
}

export function nameOf(actor: Actor | undefined): string {
  return actor?.displayName || actor?.userId || "Somebody";
}
