// What the page keeps of itself: for a reload of this tab, and for all tabs of this browser. Where the browser forbids it, nothing is kept.

import { keep } from "../../client/keep.js";

export const keptInTab = keep(() => sessionStorage);
export const keptInBrowser = keep(() => localStorage);
