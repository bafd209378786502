// Who is in which room in `edge`: everybody in one channel, and each in one room of ten whose members sit in different crowds.

export const CHANNEL = "channel";
export const ROOM_SIZE = 10;
/** Neighbouring messages go to rooms that are far from each other: no number of rooms that is tried has it as a factor. */
const STEP = 7_919;

/** One crowd of several: connections that one process holds. Member `at` of it is member `at × crowds + crowd` of all. */
export interface Crowd {
  readonly crowd: number;
  readonly crowds: number;
  /** Members of all crowds: a multiple of their number and of a room's size. */
  readonly members: number;
}

/** How many of all a crowd has. */
export function sizeOf({ members, crowds }: Crowd): number {
  return members / crowds;
}

/** Of a crowd's member, the number among all. */
export function memberAt({ crowd, crowds }: Crowd, at: number): number {
  return at * crowds + crowd;
}

export function userOf(member: number): string {
  return `member-${member}`;
}

export function roomOf(member: number): number {
  return Math.floor(member / ROOM_SIZE);
}

export function roomName(room: number): string {
  return `room-${room}`;
}

/** The members of a room, among all. */
export function membersOf(room: number): readonly number[] {
  return Array.from({ length: ROOM_SIZE }, (_, at) => room * ROOM_SIZE + at);
}

/** The room that message `n` goes to. */
export function roomOfMessage({ members }: Crowd, n: number): number {
  return (n * STEP) % (members / ROOM_SIZE);
}

/** Who says message `n`, among all. */
export function speakerOf(crowd: Crowd, n: number): number {
  return roomOfMessage(crowd, n) * ROOM_SIZE + (n % ROOM_SIZE);
}

/** How many members of a crowd get message `n`. */
export function receiversOf(crowd: Crowd, n: number): number {
  return membersOf(roomOfMessage(crowd, n)).filter((member) => member % crowd.crowds === crowd.crowd).length;
}
