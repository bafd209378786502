// Writes of many documents at once, of which those that are there already, and newer, count as done.

import {
  type AnyBulkWriteOperation,
  BSON,
  type Collection,
  MongoBulkWriteError,
  MongoInvalidArgumentError,
  MongoServerError,
} from "mongodb";

const DUPLICATE_KEY = 11_000;

/**
 * What MongoDB says of a document, and not of itself: it will say so again. https://www.mongodb.com/docs/manual/reference/error-codes/:
 * BadValue, FailedToParse, TypeMismatch, InvalidBSON, PathNotViable, DollarPrefixedFieldName, InvalidIdField, EmptyFieldName,
 * DottedFieldName, ImmutableField, DocumentValidationFailure, BSONObjectTooLarge, KeyTooLong; and a document that an update makes too long.
 */
const DOCUMENT_FAULTS: ReadonlySet<unknown> = new Set([
  2, 9, 14, 22, 28, 52, 53, 56, 57, 66, 121, 10_334, 17_280, 17_419, 17_420,
]);

export interface Write<T extends { readonly _id: string | number }> {
  readonly key: T["_id"];
  readonly operation: AnyBulkWriteOperation<T>;
}

export interface Refused<W> {
  readonly write: W;
  readonly cause: unknown;
}

/**
 * Writes what is not there, or older. An upsert whose filter asks for an older document finds, where there is a newer one, its key taken:
 * that is how it is told. Rejects where anything else fails.
 */
export async function writeNewer<T extends { readonly _id: string | number }>(
  collection: Collection<T>,
  writes: readonly Write<T>[],
): Promise<void> {
  const [first] = await writeTaken(collection, writes);
  if (first !== undefined) throw first.cause;
}

/** As `writeNewer`. Resolves with those that MongoDB refuses for what they are; all others are written. */
export async function writeTaken<T extends { readonly _id: string | number }, W extends Write<T>>(
  collection: Collection<T>,
  writes: readonly W[],
): Promise<readonly Refused<W>[]> {
  if (writes.length === 0) return [];
  try {
    await collection.bulkWrite(
      writes.map(({ operation }) => operation),
      { ordered: false },
    );
    return [];
  } catch (error) {
    if (error instanceof MongoBulkWriteError) return judged(collection, writes, error);
    if (!isOfDocument(error)) throw error;
    // One of them holds up all of them, before any was sent.
    const [only] = writes;
    if (only !== undefined && writes.length === 1) return [{ write: only, cause: error }];
    const half = writes.length >> 1;
    const refused = await writeTaken(collection, writes.slice(0, half));
    return [...refused, ...(await writeTaken(collection, writes.slice(half)))];
  }
}

/** Which of ordered writes, by its index, was not done because its key is taken; undefined: they failed otherwise. */
export function takenAt(error: unknown): number | undefined {
  if (!(error instanceof MongoBulkWriteError)) return undefined;
  const [fault] = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  return fault?.code === DUPLICATE_KEY ? fault.index : undefined;
}

async function judged<T extends { readonly _id: string | number }, W extends Write<T>>(
  collection: Collection<T>,
  writes: readonly W[],
  error: MongoBulkWriteError,
): Promise<readonly Refused<W>[]> {
  const faults = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  if (faults.length === 0) throw error;
  const refused: Refused<W>[] = [];
  const displaced: W[] = [];
  for (const { code, index, errmsg } of faults) {
    const write = writes[index];
    if (write === undefined) throw error;
    if (code === DUPLICATE_KEY) {
      // Of another index than that of keys: it may be there all the same, when it is written again.
      if (!/\bindex: _id_/.test(errmsg ?? "")) displaced.push(write);
    } else if (DOCUMENT_FAULTS.has(code)) refused.push({ write, cause: new Error(errmsg ?? `code ${code}`) });
    else throw error;
  }
  if (displaced.length === 0) return refused;
  const keys = displaced.map(({ key }) => key);
  const there = new Set(await keysOf(collection, keys));
  const missing = displaced.filter(({ key, operation }) => !there.has(key) || !("insertOne" in operation));
  return [...refused, ...missing.map((write) => ({ write, cause: error }))];
}

async function keysOf<T extends { readonly _id: string | number }>(
  collection: Collection<T>,
  keys: readonly T["_id"][],
): Promise<readonly (string | number)[]> {
  const rows = await collection
    .aggregate<{ readonly _id: string | number }>([{ $match: { _id: { $in: keys } } }, { $project: { _id: 1 } }])
    .toArray();
  return rows.map(({ _id }) => _id);
}

/** Said of a document before, or instead of, what became of each. */
function isOfDocument(error: unknown): boolean {
  // The driver has room for 17 MiB, and says of more no more than that it is out of bounds.
  if ([MongoInvalidArgumentError, BSON.BSONError, RangeError].some((kind) => error instanceof kind)) return true;
  return error instanceof MongoServerError && DOCUMENT_FAULTS.has(error.code);
}
