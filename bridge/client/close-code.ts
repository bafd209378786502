// What connections are closed with.

/** The user leaves: others are told at once. */
export const NORMAL = 1000;
/** Nobody said why. */
export const ABNORMAL = 1006;
/** The connection is lost, and the user about to come back. */
export const HEARTBEAT_LOST = 4000;
/** Who reads does not keep up. */
export const SLOW_CONSUMER = 4101;
