// Values that may be promises: taken at once where they are there.

import type { Awaitable } from "../ports/room-ref.js";

export function isPromise<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
