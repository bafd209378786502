// A file that lies elsewhere: its address and a name for it.

import { useState } from "preact/hooks";
import type { Attachment } from "../../client/gen/types.js";
import { Dialog } from "../parts/dialog.js";

/** Letters of a name: the server takes 255 bytes. */
const MAX_NAME = 80;

export interface AttachDialogProps {
  readonly onAttach: (attachment: Attachment) => void;
  readonly onClose: () => void;
}

export function AttachDialog({ onAttach, onClose }: AttachDialogProps) {
  const [fault, setFault] = useState("");
  return (
    <Dialog title="Attach a file" onClose={onClose}>
      <form
        class="fields"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          const fields = new FormData(event.currentTarget);
          const field = (name: string): string => String(fields.get(name) ?? "").trim();
          const [url, name, caption] = [field("url"), field("name"), field("caption")];
          if (!/^https?:\/\/\S+$/i.test(url)) setFault("An address that begins with http:// or https:// is needed.");
          else onAttach({ url, name: name || lastPart(url), ...(caption !== "" && { caption }) });
        }}
      >
        <p class="muted">A message holds a reference; the file stays where it is.</p>
        <label class="field">
          Address
          <input name="url" type="url" required maxLength={2_000} placeholder="https://files.example.com/plan.pdf" />
        </label>
        <label class="field">
          Name
          <input name="name" maxLength={MAX_NAME} placeholder="Plan.pdf" />
        </label>
        <label class="field">
          Caption
          <input name="caption" maxLength={500} />
        </label>
        {fault !== "" && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <button type="submit" class="primary">
          Attach
        </button>
      </form>
    </Dialog>
  );
}

function lastPart(url: string): string {
  const part = new URL(url).pathname.split("/").findLast((part) => part !== "") ?? url;
  return part.slice(-MAX_NAME);
}
