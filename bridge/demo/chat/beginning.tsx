// What stands before the first message that is shown.

import { Avatar } from "../parts/avatar.js";

export interface BeginningProps {
  readonly roomId: string;
  readonly title: string;
  readonly empty: boolean;
  readonly loading: boolean;
  readonly atStart: boolean;
}

export function Beginning({ roomId, title, empty, loading, atStart }: BeginningProps) {
  if (!empty || loading) {
    return <p class="beginning muted">{loading ? "Loading…" : atStart ? "This is where it began." : ""}</p>;
  }
  return (
    <div class="beginning empty">
      <Avatar id={roomId} name={title} size="large" />
      <h2>{title}</h2>
      <p class="muted">
        Nothing here yet. Say hello, or open this page in a second window and come in as somebody else.
      </p>
    </div>
  );
}
