// Backend services that show a client certificate instead of a token.

import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Caller } from "../../core/room/calls.js";

/** What grpc-js knows of the connection of a call. */
type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>["getAuthContext"]>;

/** Whom a certificate stands for. */
export interface CertifiedService {
  readonly tenantId: string;
  /** The user that the service acts as. */
  readonly userId: string;
  readonly displayName: string;
  /** "service", "admin". */
  readonly grants: readonly string[];
}

/**
 * Services by a name in their certificate: the subject's common name, or a subject alternative name as OpenSSL shows it, such as
 * `URI:spiffe://example.org/billing` or `DNS:billing.internal`.
 */
export type CertifiedServices = ReadonlyMap<string, CertifiedService>;

/** The service whose verified certificate the connection was made with. Undefined: none was shown, or it is nobody's. */
export function certifiedCaller(context: AuthContext, services: CertifiedServices): Caller | undefined {
  const certificate = context.sslPeerCertificate;
  if (certificate === undefined || services.size === 0) return undefined;
  const alternatives = certificate.subjectaltname?.split(", ") ?? [];
  const subject: string | string[] | undefined = certificate.subject?.CN;
  for (const name of [...alternatives, ...(Array.isArray(subject) ? subject : [subject ?? ""])]) {
    const service = services.get(name);
    if (service === undefined) continue;
    const { tenantId, userId, displayName, grants } = service;
    const identity = {
      tenantId,
      userId,
      displayName,
      grants: new Set(grants),
      expiresAtMs: Date.parse(certificate.valid_to),
      tokenId: "",
    };
    return { identity, deviceId: "" };
  }
  return undefined;
}
