// What happened, in words: the end of it for people, all of it as one number.

/** Steps kept for a report. */
const KEPT_STEPS = 40;
/** Lines kept of one step. */
const KEPT_LINES = 60;

export class Trace {
  #steps: string[][] = [];
  #hash = 0xcbf29ce484222325n;
  #low = 0x811c9dc5;
  #count = 0;

  /** How many steps there were. */
  get steps(): number {
    return this.#count;
  }

  /** Two runs with the same hash did the same. */
  get hash(): string {
    return `${this.#hash.toString(16)}-${(this.#low >>> 0).toString(16)}`;
  }

  step(what: string): void {
    this.#count += 1;
    this.#steps.push([`#${this.#count} ${what}`]);
    if (this.#steps.length > KEPT_STEPS) this.#steps.shift();
    this.#add(what);
    // The wide hash is dear, so it takes the narrow one in once per step.
    this.#hash = BigInt.asUintN(64, (this.#hash ^ BigInt(this.#low >>> 0)) * 0x100000001b3n);
  }

  /** Something that came of the step. */
  note(what: string): void {
    const lines = this.#steps.at(-1);
    if (lines !== undefined && lines.length < KEPT_LINES) lines.push(`      ${what}`);
    this.#add(what);
  }

  /** The last steps. */
  get tail(): string {
    return this.#steps.flat().join("\n");
  }

  #add(text: string): void {
    let hash = this.#low;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    this.#low = hash;
  }
}
