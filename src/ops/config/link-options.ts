// Bridges in processes of their own, as options: what nodes let in, and whom a bridge links to.

import { addresses, optionalText, secret, toggle } from "./option.js";

export const LINK_OPTIONS = {
  linkSecret: secret(
    "SECRET",
    "What `trunkline bridge` shows the nodes it links to, the same on both; at least 16 characters. A node without it takes no links.",
  ),
  linkSecretFile: optionalText(
    "FILE",
    "A file with that secret, in place of the variable; or with several, one a line: bridges show the first, nodes take each. Read again on SIGHUP.",
  ),
  backbone: addresses(
    "For `trunkline bridge`: gRPC addresses of nodes. It is linked to one of those that serve, and to another when that one leaves or is lost. TLS, unless they are on this machine.",
  ),
  backboneInsecure: toggle(
    false,
    "Do without TLS although nodes are on other machines. The secret, tokens and all messages can be read on the way.",
  ),
  backboneCa: optionalText(
    "FILE",
    "Who may have signed the nodes' certificates, PEM. Not set: the machine's authorities.",
  ),
  backboneClientCert: optionalText("FILE", "The bridge's certificate towards nodes (mTLS), PEM. Needs its key too."),
  backboneClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
};
