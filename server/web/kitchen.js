/** The counter: scene, amounts, rank, and what the two hands bring. */

import { byId, calm, el, toast, write } from "./dom.js";
import { icon } from "./drawings.js";
import { Guests } from "./guests.js";
import { readable } from "./numbers.js";
import { gameRates, ownsDish } from "./rules.js";
import { say, spoken } from "./texts.js";

/** The ranks at which the kitchen moves. */
const MOVES_AT = [0, 10, 20, 40, 70];
/** What came by itself is counted up until about the next push, so that numbers run instead of jump. */
const GLIDE_MS = 900;
/** How long a move takes, and the width of a scene. */
const MOVE_MS = 1800;
const SCENE_WIDTH = 640;

const amount = (value, places) => readable(value, spoken(), places);

export class Kitchen {
	#place = -1;
	#guests = new Guests();
	#game = null;
	#gliding = new Map();
	#willRun = false;

	show(game) {
		this.#game = game;
		const rates = gameRates(game);
		this.#showAmounts();
		const flow = (perS) => (perS > 0 ? `+${say("perSecond", amount(perS))}` : "");
		const passive = rates.passiveMoneyFor(rates.soldAtOnce);
		write(byId("money-rate"), flow(passive));
		write(byId("dish-rate"), flow(rates.dishesPerS));
		const sold = Math.min(rates.soldAtOnce, game.dishes);
		const [cook, sell] = document.querySelectorAll("#hands small");
		write(cook, ownsDish(game) ? say("cookGain", amount(rates.cookGain)) : say("noRecipe"));
		write(sell, sold > 0 ? say("sellGain", amount(rates.moneyFor(sold))) : say("nothingToSell"));
		this.#showRank(game);
		this.#showPlace(game);
	}

	/** Takes what came by itself. */
	glide(gains) {
		if (calm.matches || document.hidden) return;
		for (const [what, gain] of Object.entries(gains)) {
			if (gain > 0) this.#gliding.set(what, { gain, sinceMs: performance.now() });
		}
	}

	/** The cook or a guest answers a click, and its gain flies up. */
	cheer(button, gain, x, y) {
		if (calm.matches) return;
		const cooks = button.id === "cook";
		if (cooks) byId("cat-cook").animate({ translate: ["0 0", "0 -7px", "0 0"] }, 180);
		else this.#guests.serve();
		const floater = el("b", { className: "floater" }, icon(cooks ? "dish" : "coin"), `+${amount(gain)}`);
		const [left, top] = x === undefined ? middleOf(button) : [x, y];
		floater.style.left = `${left + Math.random() * 120 - 60}px`;
		floater.style.top = `${top - 30}px`;
		document.body.append(floater);
		floater.animate({ translate: ["0 0", "0 -80px"], opacity: [1, 1, 0] }, 800).onfinish = () => floater.remove();
	}

	#showAmounts() {
		const nowMs = performance.now();
		for (const what of ["money", "dishes"]) {
			const { gain, sinceMs } = this.#gliding.get(what) ?? { gain: 0, sinceMs: 0 };
			const left = Math.max(0, 1 - (nowMs - sinceMs) / GLIDE_MS);
			if (!left) this.#gliding.delete(what);
			write(byId(what), amount(Math.floor(Math.max(0, this.#game[what] - gain * left))));
		}
		if (!this.#gliding.size || this.#willRun) return;
		this.#willRun = true;
		requestAnimationFrame(() => {
			this.#willRun = false;
			this.#showAmounts();
		});
	}

	#showRank({ rank, xp, need }) {
		const root = byId("rank");
		write(root.querySelector("b"), say("rank", rank));
		const text = need === null ? say("lastRank") : say("xp", amount(xp, 1), need ? amount(need) : "…");
		write(root.querySelector("small"), text);
		const share = need === null ? 1 : Math.min(1, xp / (need ?? Infinity));
		const bar = root.querySelector("[role]");
		const filled = `${share * 100 - 100}%`;
		if (bar.ariaValueText !== text || bar.firstChild.style.translate !== filled) {
			bar.ariaValueNow = Math.floor(share * 100);
			bar.ariaValueText = text;
			bar.firstChild.style.translate = filled;
		}
		byId("level-up").hidden = !(need && xp >= need);
	}

	#showPlace({ rank }) {
		const place = MOVES_AT.findLastIndex((from) => rank >= from);
		write(byId("place-name"), say(`place${place}`));
		const next = MOVES_AT[place + 1];
		write(byId("next-place"), next ? say("nextPlace", say(`place${place + 1}`), next) : "");
		if (place === this.#place) return;
		if (this.#place >= 0 && !calm.matches) passBy();
		byId("back").setAttribute("href", `#place-${place}`);
		byId("front").setAttribute("href", `#front-${place}`);
		this.#guests.places = place + 1;
		if (this.#place >= 0 && place > this.#place) toast(say("newPlace", say(`place${place}`)), "star");
		this.#place = place;
	}
}

/** A place on a button in the window. To ask for it lays the page out at once: not where a pointer has one. */
function middleOf(button) {
	const { x, y, width } = button.getBoundingClientRect();
	return [x + width / 2, y + 20];
}

/** The old place goes by, the next one comes after it, and the cook walks there. */
function passBy() {
	const pan = { duration: MOVE_MS, easing: "ease-in-out" };
	for (const id of ["back", "front"]) {
		const next = byId(id);
		const old = next.cloneNode();
		old.removeAttribute("id");
		next.before(old);
		old.animate({ translate: ["0 0", `${-SCENE_WIDTH}px 0`] }, pan).onfinish = () => old.remove();
		next.animate({ translate: [`${SCENE_WIDTH}px 0`, "0 0"] }, pan);
	}
	const hops = Array.from({ length: 13 }, (_, step) => `0 ${step % 2 ? -8 : 0}px`);
	byId("cat-cook").animate({ translate: hops }, MOVE_MS);
	byId("sign").animate({ scale: [1, 1, 1.15, 1] }, MOVE_MS);
}
