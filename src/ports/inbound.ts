// A door for commands of other services that come without a call: by a queue, which keeps them until they are dealt with.

import type { InboundCommand } from "../gen/trunkline/v1/inbound_pb.js";

export interface InboundDoor {
  /**
   * Does what a command asks for, as the service that it names. `key` is the command's key where it has none of its own.
   *
   * Resolves once the outcome is durable; so it does where the same service has done the same under this key before, however long ago, and
   * nothing is done again. Signals have no key, and are sent again. Commands to one room take effect in the order of the calls only where
   * each is awaited before the next.
   *
   * Rejects with a TrunklineError that names the field by its path from the command. A retryable one: nothing of it is certain, and the
   * command may be handed over again. Any other is final, and comes again for the same command as long as what it is about does not change.
   */
  take(command: InboundCommand, key: string): Promise<void>;
}
