/** Whether single letters work as keys; a player may switch them off. */

import { shared } from "./storage.js";

const OFF = "click-and-cook.keys-off";

export const keysAreOn = () => !shared.get(OFF);
export const switchKeys = (on) => shared.set(OFF, on ? "" : "1");
