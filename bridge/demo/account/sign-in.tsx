// The door: a name, a room to begin with, and a token where the server issues none.

import { useRef, useState } from "preact/hooks";
import icon from "../icon.svg";
import { idOf } from "./seat.js";
import { issuedToken, NoIssuerError } from "./token.js";

export interface Entry {
  readonly name: string;
  readonly room: string;
  /** The first token. */
  readonly token: string;
  /** The user's own: there is no issuer to ask for another. */
  readonly brought: boolean;
}

export function SignIn({ name, onEnter }: { readonly name: string; readonly onEnter: (entry: Entry) => void }) {
  const form = useRef<HTMLFormElement>(null);
  const [needsToken, setNeedsToken] = useState(false);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);

  const enter = async (): Promise<void> => {
    if (form.current === null) return;
    const fields = new FormData(form.current);
    const field = (key: string): string => String(fields.get(key) ?? "").trim();
    const [entered, room, token] = [field("name"), field("room"), field("token")];
    if (entered === "" || room === "") return;
    setFault("");
    setBusy(true);
    try {
      const first = token === "" ? await issuedToken(idOf(entered), entered) : token;
      onEnter({ name: entered, room, token: first, brought: token !== "" });
    } catch (error) {
      if (error instanceof NoIssuerError) {
        setNeedsToken(true);
        if (needsToken) setFault("A token is needed.");
      } else if (error instanceof TypeError) setFault("The server cannot be reached.");
      else setFault(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="door">
      <form
        ref={form}
        class="card"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          void enter();
        }}
      >
        <div class="brand">
          <img src={icon} alt="" width="40" height="40" />
          <h1>Trunkline</h1>
        </div>
        <p class="muted">A chat in which nothing is lost. Open it in a second window and talk to yourself.</p>
        <label class="field">
          Your name
          <input name="name" required maxLength={40} placeholder="Ada" defaultValue={name} autofocus />
        </label>
        <label class="field">
          Room
          <input name="room" required maxLength={60} defaultValue="general" />
        </label>
        {needsToken && (
          <label class="field">
            Token
            <input name="token" type="password" autofocus />
            <span class="muted small">
              This server issues none: paste one of your own. It stays in this tab's memory.
            </span>
          </label>
        )}
        {fault !== "" && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Entering…" : "Enter"}
        </button>
      </form>
    </main>
  );
}
