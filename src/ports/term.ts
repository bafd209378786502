// Terms: whoever takes up an outlet in a shard does so in a term of their own, which ends where another begins a later one.
//
// Two owners may look after a shard for a while, each with reason to believe that it is its own. What they keep is a place in the shard's log
// (Archive) and, of each room that is set aside, the first event that was not handed over (OutletStore). To hold is: whatever stands before
// the place was handed over, or something parked says that it was not. Each owner does its part for what it has moved the place past, so only
// what one of them takes away from the other could break it, and no store changes the two together. So:
//
// - A term begins with one step at the place, which counts it, and answers where the place is. From then on the place is moved in that term
//   alone. An owner whose term is over may go on handing over, as it did before, but nobody begins behind what it has come past since.
// - Then each thing that is parked is taken up into the term, one by one, and read only after that. What was there when the term began has
//   either been taken up, or whoever had parked it has handed over all of the room that stands before the place, and more. What is parked in
//   an earlier term from then on is of an event behind the place, which is read again; it is in nobody's way.
// - What is parked is replaced and taken away only by whoever's term it is in, or by a later one. So the room that an owner relies on, since
//   it is set aside, stays so until it was handed over as far as that owner itself has come.
// - Whoever finds something that is parked in a later term has been overtaken, and begins none of it.
//
// Whatever is parked says too, whoever parked it and whenever, that all of the room before it was handed over: what one has set aside late is
// at worst handed over once more.

/** A term, and where it begins. */
export interface Term {
  /** Higher than those of all terms before. */
  readonly number: number;
  /** The log offset to go on from. */
  readonly at: number;
}

/** A later term has begun: what was to be kept in this one is not. */
export class TermOver extends Error {
  override readonly name = "TermOver";

  constructor(what: string, term: number) {
    super(`term ${term} of ${what} is over: a later one has begun`);
  }
}
