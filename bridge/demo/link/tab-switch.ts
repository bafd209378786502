// A switch that the tabs of one user share, as they share the connection that it is for.

/** What tabs say to each other. */
type Word = "off" | "on" | "cut" | "?";

export interface TabSwitchListener {
  /** It was turned, here or in another tab. */
  turned(off: boolean): void;
  /** The connection is to be cut, wherever it is. */
  cut(): void;
}

export class TabSwitch {
  readonly #channel: BroadcastChannel;
  readonly #listener: TabSwitchListener;
  #off = false;

  constructor(userId: string, listener: TabSwitchListener) {
    this.#listener = listener;
    this.#channel = new BroadcastChannel(`trunkline-demo/${userId}`);
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#heard(data);
    this.#say("?");
  }

  get off(): boolean {
    return this.#off;
  }

  set off(off: boolean) {
    this.#turn(off);
    this.#say(off ? "off" : "on");
  }

  cut(): void {
    this.#listener.cut();
    this.#say("cut");
  }

  close(): void {
    this.#channel.close();
  }

  #heard(word: Word): void {
    if (word === "cut") this.#listener.cut();
    else if (word !== "?") this.#turn(word === "off");
    else if (this.#off) this.#say("off");
  }

  #turn(off: boolean): void {
    if (off === this.#off) return;
    this.#off = off;
    this.#listener.turned(off);
  }

  #say(word: Word): void {
    this.#channel.postMessage(word);
  }
}
