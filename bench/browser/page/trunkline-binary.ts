import { createClient } from "../../../bridge/client/index.js";
import { offerTrunkline } from "./trunkline.js";

offerTrunkline(createClient, { tabs: "own" });
