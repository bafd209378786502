// The lines of a room as elements: kept from one drawing to the next, so that nothing flickers and readers' places stay.

import type { Line } from "./log.js";
import type { Pending } from "./outbox.js";

/** What is drawn for one line. */
interface Drawn {
  readonly key: string;
  readonly classes: string;
  readonly userId: string;
  readonly who: string;
  readonly text: string;
  readonly meta: string;
}

/** A message this soon after another of the same sender belongs to it. */
const SAME_BREATH_MS = 5 * 60_000;
/** Closer to the end than this the view follows new lines. */
const FOLLOW_PIXELS = 80;

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export class LinesView {
  readonly #list: HTMLElement;
  readonly #scroll: HTMLElement;
  readonly #elements = new Map<string, { readonly element: HTMLElement; drawn: Drawn }>();

  constructor(list: HTMLElement, scroll: HTMLElement) {
    this.#list = list;
    this.#scroll = scroll;
  }

  draw(lines: readonly Line[], pending: readonly Pending[], self: string): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    const atEnd = scrollHeight - scrollTop - clientHeight < FOLLOW_PIXELS;
    const first = this.#list.firstElementChild;
    const last = lines.at(-1);
    const goesOn = last?.kind === "message" && last.sender.userId === self;
    const drawn = [
      ...drawnLines(lines, self),
      ...pending.map((message, index) => drawnPending(message, index === 0 && !goesOn)),
    ];
    const keys = new Set(drawn.map(({ key }) => key));
    for (const [key, { element }] of this.#elements) {
      if (keys.has(key)) continue;
      element.remove();
      this.#elements.delete(key);
    }
    let place = this.#list.firstElementChild;
    for (const each of drawn) {
      const element = this.#elementOf(each);
      if (element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(element, place);
    }
    if (atEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    // Older lines were put before the first: what was looked at stays where it is.
    else if (first !== this.#list.firstElementChild) {
      this.#scroll.scrollTop = scrollTop + this.#scroll.scrollHeight - scrollHeight;
    }
  }

  #elementOf(drawn: Drawn): HTMLElement {
    const known = this.#elements.get(drawn.key);
    if (known !== undefined) {
      if (!same(known.drawn, drawn)) {
        fill(known.element, drawn);
        known.drawn = drawn;
      }
      return known.element;
    }
    const element = document.createElement("li");
    fill(element, drawn);
    this.#elements.set(drawn.key, { element, drawn });
    return element;
  }
}

function* drawnLines(lines: readonly Line[], self: string): Generator<Drawn> {
  let before: Line | undefined;
  for (const line of lines) {
    if (line.kind === "notice") {
      yield { key: line.id, classes: "notice", userId: "", who: "", text: line.text, meta: "" };
    } else {
      const own = line.sender.userId === self;
      const at = new Date(line.at);
      const clock = Number.isNaN(at.getTime()) ? "" : time.format(at);
      yield {
        // The element of a pending message becomes that of the stored one.
        key: own ? `own ${line.clientMessageId}` : line.id,
        classes: `line${own ? " own" : ""}${begins(line, before) ? " first" : ""}${line.deleted ? " gone" : ""}`,
        userId: line.sender.userId ?? "",
        who: line.sender.displayName || line.sender.userId || "somebody",
        text: line.deleted ? "deleted" : line.text,
        meta: begins(line, before) || line.edited ? `${clock}${line.edited ? " · edited" : ""}` : "",
      };
    }
    before = line;
  }
}

function drawnPending({ clientMessageId, text, attempts, failure }: Pending, first: boolean): Drawn {
  const waits = attempts === 0 ? "waiting…" : attempts === 1 ? "sending…" : `sending again (${attempts})…`;
  return {
    key: `own ${clientMessageId}`,
    classes: `line own ${failure === undefined ? "pending" : "failed"}${first ? " first" : ""}`,
    userId: "",
    who: "",
    text,
    meta: failure === undefined ? waits : `not sent: ${failure}`,
  };
}

function begins(line: Line & { readonly kind: "message" }, before: Line | undefined): boolean {
  if (before?.kind !== "message" || before.sender.userId !== line.sender.userId) return true;
  return Date.parse(line.at) - Date.parse(before.at) > SAME_BREATH_MS;
}

function fill(element: HTMLElement, drawn: Drawn): void {
  element.className = drawn.classes;
  if (drawn.classes === "notice") {
    element.textContent = drawn.text;
    return;
  }
  element.style.setProperty("--hue", String(hueOf(drawn.userId)));
  const face = part("face", initials(drawn.who));
  face.setAttribute("aria-hidden", "true");
  element.replaceChildren(face, part("who", drawn.who), part("bubble", drawn.text), part("meta", drawn.meta));
}

function part(name: string, text: string): HTMLElement {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/).slice(0, 2);
  return words.map((word) => String.fromCodePoint(word.codePointAt(0) ?? 63).toUpperCase()).join("");
}

/** The same colour for the same user, everywhere. */
function hueOf(userId: string): number {
  let hash = 7;
  for (const unit of userId) hash = (hash * 31 + (unit.codePointAt(0) ?? 0)) % 360;
  return hash;
}

function same(a: Drawn, b: Drawn): boolean {
  return a.classes === b.classes && a.who === b.who && a.text === b.text && a.meta === b.meta;
}
