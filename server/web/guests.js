/** The guests before the kitchen: they come, wait, are served, and go. */

import { calm } from "./dom.js";

const ANIMALS = ["rabbit", "bear", "fox"];
const COATS = ["#57a", "#c54", "#684", "#a65", "#759", "#387"];
/** Where they wait, in the scene's units, and where they come from. */
const PLACES = [432, 492, 552];
const OUTSIDE = 260;
const STAYS_MS = [9_000, 26_000];
const AWAY_MS = [700, 4_000];
const WALK_MS = 1_400;
const NAMESPACE = "http://www.w3.org/2000/svg";

const between = ([least, most]) => least + Math.random() * (most - least);
const oneOf = (things) => things[Math.floor(Math.random() * things.length)];

export class Guests {
	#present = [];

	/** So many may wait at once; those who are too many go. */
	set places(count) {
		for (let i = this.#present.length; i < Math.min(count, PLACES.length); i++) this.#seat(i);
		this.#present.forEach((guest, i) => guest.toggleAttribute("hidden", i >= count));
	}

	/** Somebody was served. */
	serve() {
		const waiting = this.#present.filter((guest) => !guest.hasAttribute("hidden") && !guest.dataset.away);
		oneOf(waiting)?.animate({ translate: ["0 0", "0 -7px", "0 0"] }, 180);
	}

	#seat(i) {
		const guest = document.createElementNS(NAMESPACE, "use");
		guest.setAttribute("class", "guest");
		this.#present[i] = guest;
		this.#dress(guest, i);
		document.getElementById("scene").append(guest);
		this.#later(() => this.#go(guest, i), STAYS_MS);
	}

	#dress(guest, i) {
		guest.setAttribute("href", `#${oneOf(ANIMALS)}`);
		guest.setAttribute("fill", oneOf(COATS));
		guest.setAttribute("x", PLACES[i]);
		guest.setAttribute("y", 280);
	}

	/** Walks off, and another comes. Nobody walks where nobody looks, or where movement is unwanted. */
	#go(guest, i) {
		if (calm.matches || document.hidden || guest.hasAttribute("hidden")) {
			this.#later(() => this.#go(guest, i), STAYS_MS);
			return;
		}
		guest.dataset.away = "1";
		walk(guest, 0, OUTSIDE).onfinish = () => {
			guest.style.visibility = "hidden";
			this.#later(() => this.#come(guest, i), AWAY_MS);
		};
	}

	#come(guest, i) {
		this.#dress(guest, i);
		guest.style.visibility = "";
		walk(guest, OUTSIDE, 0).onfinish = () => delete guest.dataset.away;
		this.#later(() => this.#go(guest, i), STAYS_MS);
	}

	#later(act, span) {
		setTimeout(act, between(span));
	}
}

/** Ten steps, each a small hop. */
function walk(guest, from, to) {
	const frames = Array.from({ length: 11 }, (_, step) => `${from + ((to - from) * step) / 10}px ${step % 2 ? -5 : 0}px`);
	return guest.animate({ translate: frames }, WALK_MS);
}
