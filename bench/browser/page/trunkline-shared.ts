import { createClient } from "../../../bridge/client/index.js";
import { offerTrunkline } from "./trunkline.js";

// As a page has it that says nothing of tabs: this one holds the connection that others would share.
offerTrunkline(createClient);
