// What people write to each other, made up: short texts of common English words, so that as much of them is alike as is alike in a real chat.
// What a batch is compressed to depends on that: padding of one letter, as the other benchmarks have it, would vanish.

/** By how often they are used: the n-th about 1/n as often as the first. */
const WORDS = (
  "the to you I a and it is of in that for have be on not we do with can but this so are just if at as ok what or get will me my " +
  "know like up yes your no was out think about good go time when they there want see now let one from all how could need would " +
  "thanks more here should an some then by had make also really which tomorrow got back today their work has who maybe meeting " +
  "why our well team right later new still before sure take than first after only call send something because please check next " +
  "look over people try done week great file working same long monday last project both sorry yet way use already help mean him " +
  "test build review been issue morning quick point day list ready link where two without message start tell part change update " +
  "server branch deploy customer version release problem fix ticket question answer wait idea minutes lunch office train evening " +
  "report invoice friday draft number design budget feedback screen password account contract schedule flight photo birthday " +
  "weekend coffee dinner weather holiday children school doctor garden kitchen music ticket concert football bicycle delivery " +
  "warehouse production database certificate dashboard latency timeout rollback incident workshop presentation spreadsheet"
).split(" ");
const ENDS = [".", "!", "?", "…", " :)", ""];
/** Of a hundred messages so many name a link, and so many a number. */
const LINKS = 4;
const NUMBERS = 12;
const MOST_WORDS = 120;
/** Half of the messages have at most so many words. */
const MEDIAN_WORDS = 8;
const SPREAD = 0.9;

/** The text of message `n`: the same whenever it is asked for, and another for each message. */
export function chatText(n: number): string {
  const random = randomOf(n);
  const words: string[] = [];
  const count = Math.min(MOST_WORDS, Math.max(1, Math.round(MEDIAN_WORDS * Math.exp(SPREAD * normal(random)))));
  while (words.length < count) {
    // Even over the logarithm of the rank is 1/n over the rank.
    const rank = Math.floor(WORDS.length ** random()) - 1;
    words.push(WORDS[rank] ?? "ok");
  }
  const kind = random() * 100;
  if (kind < LINKS) words.push(`https://example.com/t/${Math.floor(random() * 1e9).toString(36)}`);
  else if (kind < LINKS + NUMBERS) words.push(`${Math.floor(random() * 10_000)}`);
  return words.join(" ") + (ENDS[Math.floor(random() * ENDS.length)] ?? "");
}

/** Numbers from 0 to below 1 that follow from the seed. Mulberry32. */
function randomOf(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
