// A line between messages: who came and who went there.

import type { TimelineMessage } from "../../client/timeline/snapshot.js";
import type { Coming } from "./comings.js";

/** Of many at one place so many are named. */
const NAMED = 3;
/** Where lines behind the last message are. */
export const AT_END = "";

export function ComingLine({ comings }: { readonly comings: readonly Coming[] | undefined }) {
  if (comings === undefined) return null;
  const named = comings.slice(0, NAMED).map(({ text }) => text);
  const more = comings.length - named.length;
  return <li class="coming">{[...named, ...(more > 0 ? [`${more} more`] : [])].join(" · ")}</li>;
}

/** By the key of the message that they stand before. Those before all that is shown stand nowhere, unless it is the beginning. */
export function placed(
  comings: readonly Coming[],
  messages: readonly TimelineMessage[],
  atStart: boolean,
): ReadonlyMap<string, readonly Coming[]> {
  const places = new Map<string, Coming[]>();
  let at = 0;
  for (const coming of comings) {
    while (at < messages.length && (messages[at]?.position?.seq ?? Number.POSITIVE_INFINITY) < coming.seq) at++;
    if (at === 0 && messages.length > 0 && !atStart) continue;
    const key = messages[at]?.key ?? AT_END;
    places.set(key, [...(places.get(key) ?? []), coming]);
  }
  return places;
}
