// Who is in a room, and how others come into it.

import { useEffect, useRef, useState } from "preact/hooks";
import { Avatar, statusText } from "../parts/avatar.js";
import { Dialog } from "../parts/dialog.js";
import { faultText } from "../parts/faults.js";
import { addPeople, isDirect } from "./changes.js";
import { useChat } from "./context.js";
import { showList } from "./routes.js";

const ROLES: Readonly<Record<string, string>> = { ROLE_OWNER: "owner", ROLE_ADMIN: "admin", ROLE_READER: "reader" };

export function PeopleDialog({ roomId, onClose }: { readonly roomId: string; readonly onClose: () => void }) {
  const { client, seat, members } = useChat();
  const field = useRef<HTMLInputElement>(null);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const open = useRef(true);
  useEffect(
    () => () => {
      open.current = false;
    },
    [],
  );
  const direct = isDirect(client.rooms.get(roomId)?.room);

  /** Whether it was done, and this is still looked at. */
  const attempt = async (action: () => Promise<unknown>): Promise<boolean> => {
    setFault("");
    setBusy(true);
    try {
      await action();
      return open.current;
    } catch (error) {
      setFault(faultText(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const add = async (): Promise<void> => {
    const names = field.current?.value ?? "";
    if (await attempt(() => addPeople(client, roomId, names))) {
      members.refresh(roomId);
      if (field.current !== null) field.current.value = "";
    }
  };
  const leave = async (): Promise<void> => {
    if (await attempt(async () => await client.change({ leaveRoom: { roomId } }))) {
      onClose();
      showList();
    }
  };

  return (
    <Dialog title="People" onClose={onClose}>
      <ul class="people">
        {members.of(roomId).map(({ userId = "", displayName, role }) => {
          const name = displayName || userId;
          const { status, text } = client.presence.of(userId);
          const own = userId === seat.userId;
          return (
            <li key={userId}>
              <Avatar id={userId} name={name} size="large" status={own ? "PRESENCE_STATUS_ONLINE" : status} />
              <span class="title">{own ? `${name} (you)` : name}</span>
              <span class="muted small">{text || (own ? "online" : statusText(status))}</span>
              <span class="muted small role">{ROLES[String(role)] ?? ""}</span>
            </li>
          );
        })}
      </ul>
      {!direct && (
        <form
          class="fields"
          autocomplete="off"
          onSubmit={(event) => {
            event.preventDefault();
            void add();
          }}
        >
          <label class="field" for="add-people">
            Add people
          </label>
          <div class="adding">
            <input id="add-people" ref={field} required maxLength={400} placeholder="Grace, Alan" />
            <button type="submit" class="primary" disabled={busy}>
              Add
            </button>
          </div>
        </form>
      )}
      {busy && client.state.status !== "live" && (
        <p class="muted small" role="status">
          There is no connection: it is done as soon as there is one.
        </p>
      )}
      {fault !== "" && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      {!direct && (
        <div class="buttons">
          <button type="button" onClick={() => void leave()} disabled={busy}>
            Leave the room
          </button>
        </div>
      )}
    </Dialog>
  );
}
