// How a cluster's topics are called.

/** Begins the name of each topic. */
export const DEFAULT_TOPIC_PREFIX = "trunkline";
