// A dead letter as an operator is shown it.

import type { DeadLetterDocument } from "../gen/trunkline/store/v1/documents_pb.js";

/** A dead letter and whose it is. */
export interface DeadLetter {
  readonly outlet: string;
  readonly letter: DeadLetterDocument;
}
