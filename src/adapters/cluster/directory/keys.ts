// Where the session directory keeps what in Redis: all that is a user's is in one hash slot.

import { createHash } from "node:crypto";

/** Users of a tenant are spread over so many parts, so that no tenant is one slot's. */
const PARTS = 16;

/** Where a user of a tenant is kept. */
export interface UserPlace {
  readonly tenantId: string;
  readonly userId: string;
  /** Of the tenant: a part with its hash slot. */
  readonly tag: string;
}

export class DirectoryKeys {
  /** Nodes that have entries, each with its last round. */
  readonly nodes: string;
  /** What users' sessions were told to close with, in order. */
  readonly closes: string;
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.nodes = `${prefix}:directory:nodes`;
    this.closes = `${prefix}:directory:closes`;
  }

  place(tenantId: string, userId: string): UserPlace {
    return { tenantId, userId, tag: `${tenantId}/${partOf(userId)}` };
  }

  /** Of all parts of a tenant. */
  tags(tenantId: string): readonly string[] {
    return Array.from({ length: PARTS }, (_, part) => `${tenantId}/${part}`);
  }

  /** A user's entries. */
  user({ tag, userId }: UserPlace): string {
    return `${this.#prefix}:{${tag}}:user:${userId}`;
  }

  /** Users of a part who are online. */
  online(tag: string): string {
    return `${this.#prefix}:{${tag}}:online`;
  }

  /** Users of a part of whom the node has entries. */
  usersOf(nodeId: string, tag: string): string {
    return `${this.#prefix}:{${tag}}:node:${nodeId}`;
  }

  /** The channel on which is said that a user may show something else. */
  changed({ tag, userId }: UserPlace): string {
    return `${this.#prefix}:{${tag}}:changed:${userId}`;
  }

  /** Whose a session is. */
  session(tenantId: string, sessionId: string): string {
    return `${this.#prefix}:session:${tenantId}/${sessionId}`;
  }

  /** Parts of tenants that the node has entries in. */
  partsOf(nodeId: string): string {
    return `${this.#prefix}:directory:parts:${nodeId}`;
  }

  /** What the node's sessions were told to close with, which it may not have heard. */
  ordersTo(nodeId: string): string {
    return `${this.#prefix}:directory:orders:${nodeId}`;
  }

  /** The channel on which the node is told to close sessions. */
  channelOf(nodeId: string): string {
    return `${this.#prefix}:directory:node:${nodeId}`;
  }
}

function partOf(userId: string): number {
  return createHash("sha256").update(userId).digest().readUInt8(0) % PARTS;
}
