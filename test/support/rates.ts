// Rates for tests that ask as fast as they can.

import { NO_LIMIT, type Rates, ratesWith, type ScopedRates } from "../../src/core/limit/rates.js";

const OFF: ScopedRates = { session: NO_LIMIT, user: NO_LIMIT, room: NO_LIMIT, tenant: NO_LIMIT };

export const UNLIMITED_RATES: Rates = ratesWith({
  publish: OFF,
  edit: OFF,
  mark: OFF,
  typing: OFF,
  signal: OFF,
  presence: OFF,
  read: OFF,
  administer: OFF,
  settings: OFF,
  service: OFF,
});
