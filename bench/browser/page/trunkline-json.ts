import { createClient } from "../../../bridge/client/json.js";
import { offerTrunkline } from "./trunkline.js";

offerTrunkline(createClient, { tabs: "own" });
