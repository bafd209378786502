// One message: who, what, what it answers, how others feel about it, and how far it has come.

import type { Body } from "../../client/gen/types.js";
import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import { Avatar } from "../parts/avatar.js";
import { whyNot } from "../parts/faults.js";
import { Icon, IconButton } from "../parts/icon.js";
import { pure } from "../parts/pure.js";
import { momentOf, timeOf } from "../parts/words.js";
import { Content, nameOf, Quote } from "./content.js";
import { ReactionPicker, Reactions } from "./reactions.js";
import { Ticks } from "./ticks.js";

export interface MessageActions {
  reply(message: TimelineMessage): void;
  edit(message: TimelineMessage): void;
  remove(message: TimelineMessage): void;
  react(message: TimelineMessage, emoji: string, on: boolean): void;
  show(messageId: string): void;
  /** Of one that was refused. */
  discard(message: TimelineMessage): void;
}

export interface MessageProps {
  readonly message: TimelineMessage;
  /** The one it answers, where that is known. */
  readonly answered: TimelineMessage | undefined;
  readonly ownId: string;
  /** It follows another of the same sender closely. */
  readonly follows: boolean;
  /** Whether Tab leads here. */
  readonly current: boolean;
  /** What it is to say, where that is not stored yet. */
  readonly edit: Body | undefined;
  /** It is to be deleted. */
  readonly deleting: boolean;
  /** How far it has come: see `Ticks`. */
  readonly receipt: string;
  readonly actions: MessageActions;
}

export const MessageLine = pure((props: MessageProps) => {
  const { message, answered, ownId, follows, current, edit, deleting, receipt, actions } = props;
  const { key, sender, body, createdAt = "", editedAt, deleted = false, reactions = [], sending, replyTo } = message;
  const own = sender?.userId === ownId;
  const failed = sending?.state === "failed";
  const pending = sending !== undefined && sending.state !== "stored" && !failed;
  const atMs = Date.parse(createdAt);
  const classes = { own, follows, pending, failed, deleted };
  const names = Object.entries(classes).flatMap(([name, is]) => (is ? [name] : []));
  const changeable = !pending && !failed && !deleted;
  return (
    <li class={["line", ...names].join(" ")} data-key={key} tabIndex={current ? 0 : -1}>
      {!own && <Avatar id={sender?.userId ?? ""} name={nameOf(sender)} />}
      <div class="said">
        <span class={own || follows ? "visually-hidden" : "who"} dir="auto">
          {own ? "You" : nameOf(sender)}
        </span>
        <div class="bubble-row">
          <div class="bubble-box">
            {replyTo !== undefined && !deleted && (
              <Quote answered={answered} reached={current} onShow={() => actions.show(replyTo)} />
            )}
            <Content body={edit ?? body} deleted={deleted} />
            <span class="meta">
              {deleting && !deleted && <span>to be deleted</span>}
              {(editedAt ?? edit) !== undefined && !deleted && <span>edited</span>}
              <time dateTime={createdAt} title={Number.isNaN(atMs) ? "" : momentOf(atMs)}>
                {Number.isNaN(atMs) ? "" : timeOf(atMs)}
              </time>
              {own && !failed && !deleted && <Ticks receipt={pending || deleting || edit ? "pending" : receipt} />}
            </span>
          </div>
          {changeable && (
            <div class="actions" role="toolbar" aria-label="Actions">
              <ReactionPicker onPick={(emoji) => actions.react(message, emoji, true)} />
              <IconButton icon="reply" label="Reply" onClick={() => actions.reply(message)} />
              {own && body?.text !== undefined && (
                <IconButton
                  icon="edit"
                  label="Edit"
                  onClick={() => actions.edit(edit === undefined ? message : { ...message, body: edit })}
                />
              )}
              {own && <IconButton icon="trash" label="Delete" onClick={() => actions.remove(message)} />}
            </div>
          )}
        </div>
        {reactions.length > 0 && (
          <Reactions
            reactions={reactions}
            ownId={ownId}
            reached={current}
            onReact={(emoji, on) => actions.react(message, emoji, on)}
          />
        )}
        {failed && (
          <span class="not-sent">
            <span>Not sent: {whyNot(sending.error)}</span>
            <button type="button" class="link" onClick={() => sending.retry()}>
              <Icon name="retry" />
              Retry
            </button>
            <button type="button" class="link" onClick={() => actions.discard(message)}>
              Discard
            </button>
          </span>
        )}
      </div>
    </li>
  );
});
