// One room: its head, its messages, who is typing, and where to write.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import type { Timeline } from "../../client/timeline/timeline.js";
import { statusText } from "../parts/avatar.js";
import { Dialog } from "../parts/dialog.js";
import { whyNot } from "../parts/faults.js";
import { IconButton } from "../parts/icon.js";
import { useChanges } from "../parts/use.js";
import { ConnectionBanner } from "./banner.js";
import { isDirect } from "./changes.js";
import { Comings } from "./comings.js";
import { Composer, type Draft } from "./composer.js";
import { useChat } from "./context.js";
import { MessageList } from "./message-list.js";
import { PeopleDialog } from "./people.js";
import { showList } from "./routes.js";
import { useRoomTitle } from "./titles.js";

export interface RoomViewProps {
  readonly roomId: string;
  readonly inspecting: boolean;
  readonly onInspect: () => void;
}

export function RoomView({ roomId, inspecting, onInspect }: RoomViewProps) {
  const { client, seat, members } = useChat();
  const room = useMemo(() => client.room(roomId), [client, roomId]);
  const comings = useMemo(() => new Comings(), [room]);
  const [timeline, setTimeline] = useState<Timeline | undefined>(undefined);
  const [readSeq, setReadSeq] = useState<number | undefined>(undefined);
  /** The room's last event when it was subscribed to. */
  const [topSeq, setTopSeq] = useState(0);
  const [draft, setDraft] = useState<Draft>({ kind: "new" });
  const [sent, setSent] = useState(0);
  const [dialog, setDialog] = useState<"people" | { readonly remove: TimelineMessage } | undefined>(undefined);
  const [untaken, setUntaken] = useState("");
  const title = useRoomTitle(roomId);

  useEffect(() => {
    const opened = room.timeline();
    const watch = client.presence.watch({ rooms: [roomId] });
    const stops = [
      room.on("event", (event) => {
        members.happened(roomId, event);
        comings.happened(event);
      }),
      room.on("subscribed", ({ marker, top }) => {
        // How far had the user read when they came?
        setReadSeq((known) => known ?? marker?.readSeq ?? 0);
        setTopSeq(top?.seq ?? 0);
        if (comings.all.length === 0) void comings.load(client, roomId, top?.seq ?? 0);
      }),
      client.on("unsent", ({ roomId: of, frame, error }) => {
        // Messages say it themselves, and calls to whoever has made them.
        const { editMessage, deleteMessage, react } = frame;
        const what = editMessage ? "edit" : deleteMessage ? "deletion" : react ? "reaction" : undefined;
        if (of === roomId && what !== undefined) setUntaken(`Your ${what} was not taken: ${whyNot(error)}.`);
      }),
    ];
    setTimeline(opened);
    setDraft({ kind: "new" });
    return () => {
      for (const stop of stops) stop();
      watch.close();
      opened.close();
      room.typing.stop();
    };
  }, [room]);

  useChanges(
    (changed) => {
      const stops = [
        timeline?.onChange(changed),
        comings.onChange(changed),
        room.on("state", changed),
        room.on("pending", changed),
        client.on("state", changed),
        room.receipts.onChange(changed),
        room.typing.onChange(changed),
        client.presence.onChange(changed),
        client.rooms.onChange(changed),
        members.onChange(changed),
      ];
      return () => {
        for (const stop of stops) stop?.();
      };
    },
    [timeline, room],
  );

  const actions = useMemo(
    () => ({
      reply: (to: TimelineMessage) => setDraft({ kind: "reply", to }),
      edit: (of: TimelineMessage) => setDraft({ kind: "edit", of }),
      remove: (message: TimelineMessage) => setDialog({ remove: message }),
      react: ({ messageId = "" }: TimelineMessage, emoji: string, on: boolean) => {
        room.react(messageId, emoji, on);
      },
    }),
    [room],
  );

  return (
    <main class="room">
      <header class="bar">
        <IconButton icon="back" label="Back to the rooms" class="only-narrow" onClick={showList} />
        <div class="titles">
          <h1 id="room-title" dir="auto">
            {title}
          </h1>
          <p class="muted small">{useSubtitle(roomId, topSeq)}</p>
        </div>
        <IconButton icon="people" label="People" onClick={() => setDialog("people")} />
        <IconButton icon="pulse" label="Connection inspector" pressed={inspecting} onClick={onInspect} />
      </header>
      <ConnectionBanner />
      {timeline !== undefined && timeline.error !== undefined && (
        <p class="fault banner" role="alert">
          This room cannot be read:{" "}
          {timeline.error instanceof Error ? whyNot(timeline.error) : "you are no longer in it"}
        </p>
      )}
      {untaken !== "" && (
        <p class="fault banner" role="alert">
          {untaken}
          <IconButton icon="close" label="Close" onClick={() => setUntaken("")} />
        </p>
      )}
      {timeline !== undefined && (
        <MessageList
          key={roomId}
          room={room}
          title={title}
          timeline={timeline}
          comings={comings.all}
          ownId={seat.userId}
          readSeq={readSeq}
          sent={sent}
          actions={actions}
        />
      )}
      <TypingLine names={room.typing.users.map(({ name, userId }) => firstWord(name || userId))} />
      <Composer
        key={`composer ${roomId}`}
        room={room}
        title={title}
        draft={draft}
        onDraft={setDraft}
        lastOwn={() =>
          timeline?.messages.findLast(
            ({ sender, body, deleted, sending }) =>
              sender?.userId === seat.userId && body?.text !== undefined && !deleted && sending === undefined,
          )
        }
        onSent={() => setSent((count) => count + 1)}
      />
      {dialog === "people" && <PeopleDialog roomId={roomId} onClose={() => setDialog(undefined)} />}
      {typeof dialog === "object" && (
        <Dialog title="Delete this message?" onClose={() => setDialog(undefined)}>
          <p class="muted">Its words are removed for everybody, and from the store.</p>
          <div class="buttons">
            <button type="button" onClick={() => setDialog(undefined)}>
              Keep it
            </button>
            <button
              type="button"
              class="danger"
              onClick={() => {
                room.delete(dialog.remove.messageId ?? "");
                setDialog(undefined);
              }}
            >
              Delete
            </button>
          </div>
        </Dialog>
      )}
    </main>
  );
}

function useSubtitle(roomId: string, topSeq: number): string {
  const { client, seat, members } = useChat();
  const { state, position } = client.room(roomId);
  const missing = topSeq - (position?.seq ?? topSeq);
  if (missing > 0 && (state.status === "live" || state.status === "filling")) return `Catching up: ${missing} to come…`;
  const room = client.rooms.get(roomId)?.room;
  const people = members.of(roomId);
  const others = people.filter(({ userId }) => userId !== seat.userId);
  const live = client.state.status === "live";
  // How others are is not known without a connection.
  if (isDirect(room)) return live ? statusText(client.presence.of(others[0]?.userId ?? "").status) : "";
  const count = people.length || (room?.memberCount ?? 0);
  if (count === 0) return "";
  const counted = `${count} ${count === 1 ? "member" : "members"}`;
  if (!live) return counted;
  const online = people.filter(
    ({ userId = "" }) => userId === seat.userId || statusText(client.presence.of(userId).status) !== "offline",
  );
  return `${counted}, ${online.length} online`;
}

/** In a line that is short. */
function firstWord(name: string): string {
  return name.split(" ")[0] ?? name;
}

function TypingLine({ names }: { readonly names: readonly string[] }) {
  const [first = "", second = ""] = names;
  const texts = [
    "",
    `${first} is typing…`,
    `${first} and ${second} are typing…`,
    `${first} and ${names.length - 1} others are typing…`,
  ];
  return (
    <p class="typing">
      {names.length > 0 && (
        <span class="dots" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
      )}
      <span id="typists">{texts[Math.min(names.length, 3)]}</span>
    </p>
  );
}
