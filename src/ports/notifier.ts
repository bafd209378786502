// The notifier: whoever reaches users who are not connected.

import type { Notification } from "../gen/trunkline/v1/outlet_pb.js";

export interface Notifier {
  /**
   * Resolves once it is taken. Rejects, within a deadline of its own, when it is not, or when that is uncertain: it comes again under the
   * same id, perhaps with more messages counted. Whoever takes it drops repeats by `notification_id`.
   */
  notify(notification: Notification): Promise<void>;
}
