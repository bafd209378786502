// What Kafka refuses with. https://kafka.apache.org/protocol#protocol_error_codes

/** Codes that are told apart here, and a few that operators meet. */
export const KafkaCode = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  UNSUPPORTED_VERSION: 35,
  KAFKA_STORAGE_ERROR: 56,
  FENCED_LEADER_EPOCH: 74,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(KafkaCode).map(([name, code]) => [code, name]));

/** An error code in an answer of Kafka's. */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: number;

  constructor(code: number, what: string) {
    super(`${what}: Kafka answered ${NAMES.get(code) ?? "error"} (${code})`);
    this.code = code;
  }
}

/** Throws unless the code is NONE. */
export function requireNoError(code: number, what: string): void {
  if (code !== KafkaCode.NONE) throw new KafkaError(code, what);
}
