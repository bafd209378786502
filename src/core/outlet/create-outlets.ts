// The outlets that were asked for.

import type { CoreDependencies } from "../core.js";
import { EventOutlet } from "./event-outlet.js";
import type { Outlet } from "./outlets.js";

/** None where nothing was asked for. */
export function createOutlets(deps: CoreDependencies): readonly Outlet[] {
  const { outlets } = deps;
  if (outlets === undefined) return [];
  return (outlets.events ?? []).map((options) => new EventOutlet(deps, outlets.store, options));
}
