// How much has gone over a connection.

export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
}

export const NO_TRAFFIC: Traffic = { frames: 0, bytes: 0 };

/** With one frame more. */
export function plus({ frames, bytes }: Traffic, data: string | ArrayBuffer | Uint8Array): Traffic {
  return { frames: frames + 1, bytes: bytes + (typeof data === "string" ? data.length : data.byteLength) };
}
