// SIGHUP: files that are read at the start are read again.

import type { Service } from "./lifetime.js";

/** The service, with `reload` called on each SIGHUP until it is stopped. Must not throw. */
export function onHangUp(service: Service, reload: () => void): Service {
  process.on("SIGHUP", reload);
  return {
    stop: (options) => {
      process.off("SIGHUP", reload);
      return service.stop(options);
    },
  };
}
