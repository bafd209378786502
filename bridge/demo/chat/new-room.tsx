// A way into another room: by its name, or by that of a person.

import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.js";
import { faultText } from "../parts/faults.js";
import { addPeople, enterDirect, enterRoom } from "./changes.js";
import { useChat } from "./context.js";
import { showRoom } from "./routes.js";

export function NewRoomDialog({ onClose }: { readonly onClose: () => void }) {
  const { client } = useChat();
  const [direct, setDirect] = useState(false);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const open = useRef(true);
  useEffect(
    () => () => {
      open.current = false;
    },
    [],
  );

  const enter = async (form: HTMLFormElement): Promise<void> => {
    const fields = new FormData(form);
    const name = String(fields.get("name") ?? "").trim();
    if (name === "") return;
    setFault("");
    setBusy(true);
    try {
      const roomId = direct ? await enterDirect(client, name) : await enterRoom(client, name);
      if (!direct) await addPeople(client, roomId, String(fields.get("people") ?? ""));
      // Without a connection it may take a while: who has left meanwhile is not led elsewhere.
      if (!open.current) return;
      showRoom(roomId);
      onClose();
    } catch (error) {
      setFault(faultText(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog title="New conversation" onClose={onClose}>
      <form
        class="fields"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          void enter(event.currentTarget);
        }}
      >
        <fieldset class="choices">
          <legend class="visually-hidden">With whom</legend>
          <label>
            <input type="radio" name="kind" checked={!direct} onChange={() => setDirect(false)} /> Room
          </label>
          <label>
            <input type="radio" name="kind" checked={direct} onChange={() => setDirect(true)} /> One person
          </label>
        </fieldset>
        <label class="field">
          {direct ? "Their name" : "Name of the room"}
          <input name="name" required maxLength={60} placeholder={direct ? "Grace" : "engine-room"} />
        </label>
        {direct ? (
          <p class="muted small">The room of two is always the same one, whoever of them opens it.</p>
        ) : (
          <>
            <label class="field">
              People to add
              <input name="people" maxLength={400} placeholder="Grace, Alan" />
            </label>
            <p class="muted small">A room of this name is joined where there is one, and made where there is none.</p>
          </>
        )}
        {fault !== "" && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        {busy && client.state.status !== "live" && (
          <p class="muted small" role="status">
            There is no connection: it is done as soon as there is one.
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "One moment…" : direct ? "Open" : "Join or create"}
        </button>
      </form>
    </Dialog>
  );
}
