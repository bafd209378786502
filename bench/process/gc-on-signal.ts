// Loaded into each server under test with `--import` and `--expose-gc`: collects garbage when SIGUSR2 asks, so that memory is
// compared after a full collection and not at whatever point of its cycle the collector happens to be.

process.on("SIGUSR2", () => {
  // V8 keeps the pages it frees in a pool of its own, resident, and gives them back only at a collection of last resort:
  // without it, resident memory stays at its peak (seen with Node 24; Node 20 gives most of it back).
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
});
