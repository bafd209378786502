// What messages say, and what they answer.

import type { ComponentChild } from "preact";
import type { Actor, Body } from "../../client/gen/types.js";
import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import { Icon } from "../parts/icon.js";

/** An address, without the full stop or bracket that may follow it. */
const LINK = /(https?:\/\/\S*[^\s.,;:!?)\]}'"<>])/i;

export function Content({ body, deleted }: { readonly body: Body | undefined; readonly deleted: boolean }) {
  if (deleted) return <p class="bubble">This message was deleted.</p>;
  const { attachment } = body ?? {};
  if (attachment === undefined)
    return (
      <p class="bubble" dir="auto">
        {withLinks(textOf(body))}
      </p>
    );
  const { url = "", name, caption, mimeType = "" } = attachment;
  // A picture is not fetched: whoever has it would learn who reads this.
  const picture = mimeType.startsWith("image/") || /\.(png|jpe?g|gif|webp|avif|svg)$/i.test(name || url);
  const label = (
    <>
      <Icon name={picture ? "picture" : "file"} />
      <span class="named">
        <span class="name" dir="auto">
          {name || url}
        </span>
        <span class="small muted">{hostOf(url)}</span>
      </span>
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
      {caption !== undefined && (
        <p class="bubble" dir="auto">
          {withLinks(caption)}
        </p>
      )}
    </>
  );
}

/** The text, with what is an address to be followed. */
function withLinks(text: string): readonly ComponentChild[] {
  return text.split(LINK).map((part, index) =>
    index % 2 === 0 ? (
      part
    ) : (
      <a key={index} href={part} target="_blank" rel="noopener noreferrer">
        {part}
      </a>
    ),
  );
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

export interface QuoteProps {
  /** Undefined: it is not among those that are loaded. */
  readonly answered: TimelineMessage | undefined;
  /** Whether Tab leads to it. */
  readonly reached: boolean;
  readonly onShow: () => void;
}

export function Quote({ answered, reached, onShow }: QuoteProps) {
  if (answered === undefined) return <p class="quote">An earlier message</p>;
  return (
    <button type="button" class="quote" tabIndex={reached ? 0 : -1} onClick={onShow}>
      <strong dir="auto">{nameOf(answered.sender)}</strong>
      <span dir="auto">{answered.deleted ? "This message was deleted." : textOf(answered.body)}</span>
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
