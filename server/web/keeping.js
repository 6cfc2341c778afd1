/** Asks a guest, once there is something to lose, to keep the kitchen with an e-mail. */

import { byId } from "./dom.js";
import { shared } from "./storage.js";

/** The rank at which the guest said "later". */
const LATER = "click-and-cook.keep-later";
const PURCHASES_TO_LOSE = 4;
const RANKS_UNTIL_ASKED_AGAIN = 5;

export class Keeping {
	#game = null;

	/** @param {() => void} claim */
	constructor(claim) {
		const [keep, later] = byId("keep").querySelectorAll("button");
		keep.onclick = claim;
		later.onclick = () => {
			shared.set(LATER, String(this.#game.rank));
			this.show(this.#game);
			byId("kitchen").focus({ preventScroll: true });
		};
	}

	show(game) {
		this.#game = game;
		byId("keep").hidden = game.email !== "" || !hasToLose(game) || saidLater(game);
	}
}

function hasToLose({ rank, boost, upgrades }) {
	if (rank > 0 || boost > 0) return true;
	let purchases = 0;
	for (const { times_bought } of upgrades.values()) purchases += times_bought;
	return purchases >= PURCHASES_TO_LOSE;
}

function saidLater({ rank }) {
	const at = shared.get(LATER);
	return at !== null && rank >= Number(at) && rank < Number(at) + RANKS_UNTIL_ASKED_AGAIN;
}
