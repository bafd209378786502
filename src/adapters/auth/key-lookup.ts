// Which keys may have signed a token, by its header.

import { type CryptoKey, errors, type FlattenedJWSInput, type JWTHeaderParameters } from "jose";

export type VerificationKey = CryptoKey | Uint8Array;

/** The keys that fit a token's header, best first; none: no key does. */
export type KeyLookup = (header: JWTHeaderParameters, token: FlattenedJWSInput) => Promise<readonly VerificationKey[]>;

/** One of jose's key sets. It picks by key type, algorithm, curve, use and key id, and holds public keys only. */
type KeySet = (header: JWTHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

export const noKeys: KeyLookup = async () => [];

/** All that fit, where jose's own answer to several is an error. A key of the set that is broken fits nothing. */
export function lookupIn(keySet: KeySet): KeyLookup {
  return async (header, token) => {
    try {
      return [await keySet(header, token)];
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
      const keys: CryptoKey[] = [];
      for await (const key of error) keys.push(key);
      return keys;
    }
  };
}
