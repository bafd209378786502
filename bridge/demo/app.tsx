// The page: a door, and the chat behind it.

import { useEffect, useState } from "preact/hooks";
import { keptSeat, leaveSeat, type Seat, takeSeat } from "./account/seat.js";
import { type Entry, SignIn } from "./account/sign-in.js";
import { restoreRoom, showList } from "./chat/routes.js";
import { Workspace } from "./chat/workspace.js";
import { createLink, type Link } from "./link/link.js";

interface SignedIn {
  readonly seat: Seat;
  readonly link: Link;
  readonly room: string | undefined;
}

function enter({ name, room, token, brought }: Entry): SignedIn {
  // There is nobody to ask for another token of the user's own.
  const seat = takeSeat(name, token, !brought);
  return { seat, link: createLink({ seat, token, brought }), room };
}

/** Somebody who was here before the page was loaded anew: a server that is away is waited for inside. */
function comeBack(): SignedIn | undefined {
  const seat = keptSeat();
  if (seat === undefined) return undefined;
  restoreRoom();
  return { seat, link: createLink({ seat, token: undefined, brought: false }), room: undefined };
}

export function App() {
  const [signedIn, setSignedIn] = useState(comeBack);
  const [name, setName] = useState("");
  useEffect(() => {
    if (signedIn === undefined) document.title = "Trunkline";
  }, [signedIn]);
  if (signedIn === undefined) return <SignIn name={name} onEnter={(entry) => setSignedIn(enter(entry))} />;
  const { seat, link, room } = signedIn;
  return (
    <Workspace
      seat={seat}
      link={link}
      room={room}
      onLeave={() => {
        link.close();
        leaveSeat();
        showList();
        setName(seat.name);
        setSignedIn(undefined);
      }}
    />
  );
}
