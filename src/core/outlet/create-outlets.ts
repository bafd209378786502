// The outlets that were asked for.

import type { CoreDependencies } from "../core.js";
import type { NotifierParts } from "../notify/judge.js";
import { NotifierOutlet } from "../notify/notifier-outlet.js";
import { EventOutlet } from "./event-outlet.js";
import { Outlet, type OutletWork } from "./outlet.js";

/** None where nothing was asked for. */
export function createOutlets(deps: CoreDependencies, parts: NotifierParts): readonly Outlet[] {
  const { outlets } = deps;
  if (outlets === undefined) return [];
  const { store, events = [], notifier } = outlets;
  const works: OutletWork[] = events.map((options) => new EventOutlet(deps, store, options));
  if (notifier !== undefined) works.push(new NotifierOutlet(deps, parts, store, notifier));
  return works.map((work) => new Outlet(deps, work));
}
