// Where to connect to: one of several addresses for as long as it answers, then the next.

const PATH = "v1/connect";

export class Addresses {
  readonly #urls: readonly string[];
  #turn = 0;
  #passOver = false;

  constructor(url: string | readonly string[]) {
    this.#urls = typeof url === "string" ? [url] : url;
  }

  /** Of an attempt that begins. */
  next(): string {
    if (this.#passOver) this.#turn++;
    this.#passOver = true;
    return `${(this.#urls[this.#turn % this.#urls.length] ?? "").replace(/\/$/, "")}/${PATH}`;
  }

  /** The one that was given last answers. */
  reached(): void {
    this.#passOver = false;
  }

  /** Nobody is there any more. */
  left(): void {
    this.#passOver = true;
  }
}
