/** Whether the page makes sounds: off until asked for. */

import { shared } from "./storage.js";

const ON = "click-and-cook.sounds";

export const soundsAreOn = () => Boolean(shared.get(ON));

export function switchSounds(on) {
	shared.set(ON, on ? "1" : "");
	sound("medal");
}

/** Plays a sound of sounds.js where sounds are on. */
export function sound(name) {
	if (soundsAreOn()) import("./sounds.js").then(({ play }) => play(name)).catch(() => {});
}
