// The messages of a room, by days, with a line before what is new. Arrow keys lead from message to message.

import { Fragment } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Room } from "../../client/room/room.js";
import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import type { Timeline } from "../../client/timeline/timeline.js";
import { Icon } from "../parts/icon.js";
import { useLatest, useToday } from "../parts/use.js";
import { dayKey, dayOf } from "../parts/words.js";
import { Beginning } from "./beginning.js";
import { AT_END, ComingLine, placed } from "./coming-line.js";
import type { Coming } from "./comings.js";
import { nameOf, textOf } from "./content.js";
import { type MessageActions, MessageLine } from "./message.js";
import { useScrollPlace } from "./scroll.js";
import { waitingChanges } from "./waiting.js";

export interface MessageListProps {
  readonly room: Room;
  readonly title: string;
  readonly timeline: Timeline;
  readonly comings: readonly Coming[];
  readonly ownId: string;
  /** Up to here the user had read when the room was opened. Undefined: not known yet. */
  readonly readSeq: number | undefined;
  /** How much the user has sent: after that the end is shown. */
  readonly sent: number;
  readonly actions: Omit<MessageActions, "show" | "discard">;
}

/** Messages of one sender within this belong together. */
const SAME_BREATH_MS = 5 * 60_000;
/** Until older messages are asked for again that could not be had, as without a connection. */
const OLDER_AGAIN_MS = 3_000;

export function MessageList({ room, title, timeline, comings, ownId, readSeq, sent, actions }: MessageListProps) {
  const { messages, loading, atStart } = timeline.snapshot;
  const scroller = useRef<HTMLElement>(null);
  const [current, setCurrent] = useState<string | undefined>(undefined);
  const today = useToday();
  const [resting, setResting] = useState(false);
  const more = useLatest(() => {
    timeline.older().catch(() => setResting(true));
  });
  useEffect(() => {
    if (!resting) return;
    const timer = setTimeout(() => setResting(false), OLDER_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [resting]);
  const places = useMemo(() => placed(comings, messages, atStart), [comings, messages, atStart]);
  const { atEnd, toEnd, onScroll } = useScrollPlace(scroller, places, atStart || loading || resting ? undefined : more);
  useEffect(toEnd, [sent]);
  const news = useNews(messages, ownId, atEnd);
  const byId = useMemo(() => new Map(messages.map((message) => [message.messageId, message])), [messages]);

  // Seen is what is at the end of a window that is looked at.
  const seen = useLatest(() => {
    if (atEnd && !loading && document.visibilityState === "visible" && document.hasFocus()) room.markRead();
  });
  useEffect(() => {
    seen();
    addEventListener("focus", seen);
    document.addEventListener("visibilitychange", seen);
    return () => {
      removeEventListener("focus", seen);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [messages, atEnd, loading]);

  const focusLine = (line: Element | undefined): void => {
    if (!(line instanceof HTMLElement)) return;
    setCurrent(line.dataset.key);
    line.focus();
    line.scrollIntoView({ block: "nearest" });
  };
  const lines = (): readonly Element[] => [...(scroller.current?.querySelectorAll(".line") ?? [])];
  const lineOf = (key: string): Element | undefined =>
    scroller.current?.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? undefined;
  const show = useLatest((messageId: string): void => {
    const line = lineOf(byId.get(messageId)?.key ?? "");
    line?.scrollIntoView({ block: "center" });
    focusLine(line);
  });
  // The buttons that these are asked for by go with the message: the focus goes elsewhere before.
  const remove = useLatest((message: TimelineMessage): void => {
    focusLine(lineOf(message.key));
    actions.remove(message);
  });
  const discard = useLatest(({ key, sending }: TimelineMessage): void => {
    const shown = lines();
    const line = lineOf(key);
    const at = line === undefined ? -1 : shown.indexOf(line);
    focusLine(shown[at - 1] ?? shown[at + 1]);
    sending?.discard();
  });
  const all = useMemo<MessageActions>(() => ({ ...actions, show, remove, discard }), [actions]);

  const keyPressed = (event: KeyboardEvent): void => {
    if (!(event.target instanceof Element)) return;
    const line = event.target.closest(".line");
    if (line === null) return;
    const shown = lines();
    const at = shown.indexOf(line);
    const to: Readonly<Record<string, Element | undefined>> = {
      ArrowUp: shown[at - 1],
      ArrowDown: shown[at + 1],
      Home: shown[0],
      End: shown.at(-1),
      Escape: line,
    };
    if (event.key === "Enter" && event.target === line) {
      event.preventDefault();
      line.querySelector<HTMLElement>(".actions button, .not-sent button")?.focus();
    } else if (to[event.key] !== undefined) {
      event.preventDefault();
      focusLine(to[event.key]);
    }
  };

  const waiting = waitingChanges(room.pending);
  const tab = messages.some(({ key }) => key === current) ? current : messages.at(-1)?.key;
  const firstNew = firstUnread(messages, ownId, readSeq);
  return (
    <div class="messages">
      <section
        ref={scroller}
        class="scroll"
        aria-label="Messages"
        onScroll={onScroll}
        onKeyDown={keyPressed}
        tabIndex={-1}
      >
        <div class="lines">
          <Beginning roomId={room.id} title={title} empty={messages.length === 0} loading={loading} atStart={atStart} />
          <ol>
            {messages.map((message, index) => {
              const before = messages[index - 1];
              const atMs = Date.parse(message.createdAt ?? "");
              const newDay = before === undefined || dayKey(Date.parse(before.createdAt ?? "")) !== dayKey(atMs);
              return (
                <Fragment key={message.key}>
                  <ComingLine comings={places.get(message.key)} />
                  {newDay && (
                    <li class="divider day">
                      <span>{dayOf(atMs, today)}</span>
                    </li>
                  )}
                  {message.key === firstNew && (
                    <li class="divider new">
                      <span>New messages</span>
                    </li>
                  )}
                  <MessageLine
                    message={message}
                    answered={message.replyTo === undefined ? undefined : byId.get(message.replyTo)}
                    ownId={ownId}
                    follows={
                      !newDay && message.key !== firstNew && !places.has(message.key) && isSameBreath(before, message)
                    }
                    current={message.key === tab}
                    edit={waiting.get(message.messageId ?? "")?.body}
                    deleting={waiting.get(message.messageId ?? "")?.deletes ?? false}
                    receipt={receiptOf(room, message, ownId)}
                    actions={all}
                  />
                </Fragment>
              );
            })}
            <ComingLine comings={places.get(AT_END)} />
          </ol>
        </div>
      </section>
      {!atEnd && (
        <button type="button" class="to-end" onClick={toEnd}>
          <Icon name="down" />
          {news.count === 0 ? "Newest" : news.count === 1 ? "1 new message" : `${news.count} new messages`}
        </button>
      )}
      <p class="visually-hidden" role="status" aria-live="polite">
        {/* Another element for each: what says the same twice is heard twice. */}
        <span key={news.index}>{news.said}</span>
      </p>
    </div>
  );
}

/** What others have said since: how many while the user was further up, and the last of it for who listens. */
function useNews(
  messages: readonly TimelineMessage[],
  ownId: string,
  atEnd: boolean,
): { readonly count: number; readonly said: string; readonly index: number } {
  const last = useRef<number | undefined>(undefined);
  const [news, setNews] = useState({ count: 0, said: "", index: 0 });
  useEffect(() => {
    const newest =
      messages.at(-1)?.messageIndex ?? messages.findLast(({ messageIndex }) => messageIndex)?.messageIndex ?? 0;
    const before = last.current ?? newest;
    last.current = Math.max(newest, before);
    const others = messages.filter(({ messageIndex = 0, sender }) => messageIndex > before && sender?.userId !== ownId);
    const spoken = others.at(-1);
    const said = spoken === undefined ? undefined : `${nameOf(spoken.sender)}: ${textOf(spoken.body)}`;
    setNews((held) => {
      const count = atEnd ? 0 : held.count + others.length;
      if (count === held.count && said === undefined) return held;
      return { count, said: said ?? held.said, index: spoken?.messageIndex ?? held.index };
    });
  }, [messages, atEnd]);
  return news;
}

function isSameBreath(before: TimelineMessage | undefined, message: TimelineMessage): boolean {
  if (before?.sender?.userId !== message.sender?.userId) return false;
  return Date.parse(message.createdAt ?? "") - Date.parse(before?.createdAt ?? "") < SAME_BREATH_MS;
}

function firstUnread(
  messages: readonly TimelineMessage[],
  ownId: string,
  readSeq: number | undefined,
): string | undefined {
  if (readSeq === undefined || readSeq === 0) return undefined;
  const at = messages.findIndex(({ position, sender }) => (position?.seq ?? 0) > readSeq && sender?.userId !== ownId);
  return messages[at]?.key;
}

/** In words that stay the same until something has changed: see `Ticks`. */
function receiptOf(room: Room, { position, sender }: TimelineMessage, ownId: string): string {
  if (sender?.userId !== ownId || position?.seq === undefined) return "sent";
  const { status, read, delivered, others } = room.receipts.receiptOf(position.seq);
  if (status === "sent" || others <= 1) return status;
  return `${status} ${status === "read" ? read : delivered}`;
}
