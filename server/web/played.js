/** For how long a player has played in this browser: the time in which the page was seen and connected. */

import { shared } from "./storage.js";

const KEY = "click-and-cook.played";
/** Kept so often: a page that ends loses no more. */
const KEEP_EVERY_S = 15;

export class Played {
	#userId = null;
	#seconds = 0;

	/** One more second of this player. Two tabs that are seen at once count twice. */
	tick(userId) {
		if (userId !== this.#userId) this.#read(userId);
		this.#seconds += 1;
		if (this.#seconds % KEEP_EVERY_S === 0) shared.set(KEY, JSON.stringify({ userId, seconds: this.#seconds }));
	}

	get seconds() {
		return this.#seconds;
	}

	#read(userId) {
		this.#userId = userId;
		this.#seconds = 0;
		try {
			const kept = JSON.parse(shared.get(KEY));
			if (kept.userId === userId && Number.isSafeInteger(kept.seconds) && kept.seconds > 0) this.#seconds = kept.seconds;
		} catch {
			// Damaged, or nothing yet: it counts from now on.
		}
	}
}
