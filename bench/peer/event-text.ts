// What the peers send for a message: about what an application would put around 200 bytes of text.

/** A message of user "u1", as plain data. */
export function eventText(seq: number, text: string): object {
  return { seq, id: `m-${seq}`, at: Date.now(), user: "u1", name: "User 1", text };
}
