// The page: a door, a room, and what happens between the two.

import { Chat } from "./chat.js";
import type { SessionState } from "./session.js";
import { issuedToken, NoIssuerError } from "./token.js";
import { LinesView } from "./view.js";
import { randomId } from "./wire.js";

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`#${id} is missing`);
  return found;
}

const door = element("door", HTMLElement);
const enterForm = element("enter", HTMLFormElement);
const nameInput = element("name", HTMLInputElement);
const roomInput = element("room", HTMLInputElement);
const tokenField = element("token-field", HTMLElement);
const tokenInput = element("token", HTMLInputElement);
const doorError = element("door-error", HTMLElement);
const chatView = element("chat", HTMLElement);
const roomTitle = element("room-title", HTMLElement);
const members = element("members", HTMLElement);
const stateView = element("state", HTMLElement);
const nowButton = element("now", HTMLButtonElement);
const leaveButton = element("leave", HTMLButtonElement);
const scroll = element("scroll", HTMLElement);
const earlierButton = element("earlier", HTMLButtonElement);
const emptyView = element("empty", HTMLElement);
const typistsView = element("typists", HTMLElement);
const composeForm = element("compose", HTMLFormElement);
const textInput = element("text", HTMLTextAreaElement);

const LINES = "lines";
const SEAT = "seat";
const DEVICE = "device";
const ATTEMPT = "attempt";

/** Who talks where: kept for a reload of this tab. */
interface Seat {
  readonly name: string;
  readonly room: string;
}

let chat: Chat | undefined;
let countdown: ReturnType<typeof setInterval> | undefined;

/** Ids allow [A-Za-z0-9._:~-]; what else a name holds is written as its code, so that different names stay different. */
function idOf(name: string): string {
  const plain = name.trim().toLowerCase().replaceAll(/\s+/g, "-");
  const id = plain.replaceAll(/[^a-z0-9._-]/gu, (letter) => `:${letter.codePointAt(0)?.toString(16)}`);
  return id.slice(0, 120);
}

/** A tab is a device; a reload keeps it. */
function deviceId(): string {
  const known = sessionStorage.getItem(DEVICE);
  if (known !== null) return known;
  const fresh = randomId();
  sessionStorage.setItem(DEVICE, fresh);
  sessionStorage.removeItem(ATTEMPT);
  return fresh;
}

function nextAttempt(): number {
  const attempt = Number(sessionStorage.getItem(ATTEMPT) ?? 0) + 1;
  sessionStorage.setItem(ATTEMPT, String(attempt));
  return attempt;
}

function enter({ name, room }: Seat, firstToken: string | undefined): void {
  const userId = idOf(name);
  const roomId = idOf(room);
  let token = firstToken;
  const brought = tokenInput.value !== "";
  const view = new LinesView(element(LINES, HTMLOListElement), scroll);
  const current = new Chat({
    url: new URL("v1/connect", document.baseURI).href.replace(/^http/, "ws"),
    userId,
    displayName: name,
    roomId,
    deviceId,
    nextAttempt,
    token: async (fresh) => {
      if (fresh && !brought) token = undefined;
      token ??= await issuedToken(userId, name);
      return token;
    },
    onState: (state) => showState(state),
    onChange: () => scheduleDraw(),
  });

  // Many changes of one moment are drawn once.
  let scheduled = false;
  function scheduleDraw(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (chat === current) draw();
    });
  }

  function draw(): void {
    const { lines } = current.log;
    view.draw(lines, current.outbox.pending, userId);
    const { memberCount } = current;
    members.textContent = memberCount === 0 ? "" : `${memberCount} ${memberCount === 1 ? "member" : "members"}`;
    earlierButton.hidden = !current.hasEarlier;
    typistsView.textContent = current.typists.text;
    const spoken = lines.some(({ kind }) => kind === "message") || current.outbox.pending.length > 0;
    emptyView.hidden = spoken || current.log.position === undefined;
  }

  chat = current;
  sessionStorage.setItem(SEAT, JSON.stringify({ name, room }));
  document.title = `#${room} · Trunkline`;
  roomTitle.textContent = room;
  element(LINES, HTMLOListElement).replaceChildren();
  door.hidden = true;
  chatView.hidden = false;
  scheduleDraw();
  textInput.focus();
  current.connect();
}

function showState(state: SessionState): void {
  clearInterval(countdown);
  stateView.dataset.kind = state.kind;
  nowButton.hidden = state.kind !== "waiting" && state.kind !== "stopped";
  nowButton.textContent = state.kind === "stopped" ? "Reconnect" : "Try now";
  switch (state.kind) {
    case "connecting":
      stateView.textContent = "connecting…";
      break;
    case "live":
      stateView.textContent = "live";
      break;
    case "stopped":
      stateView.textContent = `disconnected: ${state.reason}`;
      break;
    case "waiting": {
      const tell = () => {
        const seconds = Math.max(0, Math.ceil((state.until - Date.now()) / 1000));
        stateView.textContent = `${state.reason}, reconnecting ${seconds === 0 ? "now" : `in ${seconds} s`}`;
      };
      tell();
      countdown = setInterval(tell, 1_000);
      break;
    }
  }
}

/** @param back The user has been here before the page was loaded anew: a server that is away is waited for inside. */
async function knock(seat: Seat, back: boolean): Promise<void> {
  doorError.hidden = true;
  const brought = tokenInput.value.trim();
  try {
    enter(seat, brought === "" ? await issuedToken(idOf(seat.name), seat.name) : brought);
  } catch (error) {
    if (error instanceof NoIssuerError) {
      tokenField.hidden = false;
      tokenInput.focus();
      return;
    }
    // What `fetch` says when there is nobody.
    const away = error instanceof TypeError;
    if (away && back) {
      enter(seat, undefined);
      return;
    }
    doorError.textContent = away ? "The server cannot be reached." : error instanceof Error ? error.message : "";
    doorError.hidden = false;
  }
}

enterForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const seat = { name: nameInput.value.trim(), room: roomInput.value.trim() };
  if (seat.name !== "" && seat.room !== "") void knock(seat, false);
});

composeForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = textInput.value.trim();
  if (text !== "") chat?.send(text);
  textInput.value = "";
  textInput.focus();
  scroll.scrollTop = scroll.scrollHeight;
});

textInput.addEventListener("input", () => chat?.typed(textInput.value.trim()));

// Enter sends, Shift+Enter makes a new line; not while an input method composes.
textInput.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composeForm.requestSubmit();
});

nowButton.addEventListener("click", () => {
  // A duplicated tab has its original's device, and the two would go on replacing each other.
  if (stateView.dataset.kind === "stopped") sessionStorage.removeItem(DEVICE);
  chat?.connect();
});
earlierButton.addEventListener("click", () => void chat?.loadEarlier());
leaveButton.addEventListener("click", () => {
  sessionStorage.removeItem(SEAT);
  chat?.close();
  chat = undefined;
  clearInterval(countdown);
  chatView.hidden = true;
  door.hidden = false;
  document.title = "Trunkline";
  roomInput.focus();
});

// The network is back: no need to wait out the delay.
window.addEventListener("online", () => {
  if (stateView.dataset.kind === "waiting") chat?.connect();
});

// A state that needs a row of its own, or a keyboard, takes room from the lines: the newest stay in sight.
let height = 0;
new ResizeObserver(() => {
  const lost = height - scroll.clientHeight;
  if (lost > 0) scroll.scrollTop += lost;
  height = scroll.clientHeight;
}).observe(scroll);

function storedSeat(): Seat | undefined {
  const stored: Seat | null = JSON.parse(sessionStorage.getItem(SEAT) ?? "null");
  return stored ?? undefined;
}

const seat = storedSeat();
if (seat === undefined) {
  nameInput.focus();
} else {
  nameInput.value = seat.name;
  roomInput.value = seat.room;
  void knock(seat, true);
}
