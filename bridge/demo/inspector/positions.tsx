// How far this device has come in the rooms that it knows of: what it says when it comes back.

import { useChat } from "../chat/context.js";
import { titleOf } from "../chat/titles.js";

/** Rooms that are shown. */
const MOST = 12;

export function Positions({ roomId }: { readonly roomId: string | undefined }) {
  const chat = useChat();
  const { client } = chat;
  const known = client.rooms.all.map((entry) => ({
    id: entry.roomId,
    title: titleOf(entry, chat),
    top: entry.room.top?.seq ?? 0,
  }));
  const shown =
    roomId === undefined ? [] : [known.find(({ id }) => id === roomId) ?? { id: roomId, title: roomId, top: 0 }];
  const rooms = [...shown, ...known.filter(({ id }) => id !== roomId)];
  return (
    <section aria-label="Positions">
      <h3>Positions</h3>
      <table class="positions">
        <thead>
          <tr>
            <th scope="col">Room</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Seq
            </th>
            <th scope="col" class="number">
              Top
            </th>
            <th scope="col" class="number">
              Waiting
            </th>
          </tr>
        </thead>
        <tbody>
          {rooms.slice(0, MOST).map(({ id, title, top }) => {
            const { state, position, pending } = client.room(id);
            return (
              <tr key={id} class={id === roomId ? "shown" : ""}>
                <th scope="row">{title}</th>
                <td>{state.status}</td>
                <td class="number">{position?.seq ?? "–"}</td>
                <td class="number">{Math.max(top, position?.seq ?? 0) || "–"}</td>
                <td class="number">{pending.length || "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
