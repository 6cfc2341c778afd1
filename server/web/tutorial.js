/** The first steps, told by the cook. Each follows from the game itself: a reload goes on where it was. */

import { byId, write } from "./dom.js";
import { ownsDish } from "./rules.js";
import { shared } from "./storage.js";
import { say } from "./texts.js";

const KEY = "click-and-cook.knows-how";
/** So many dishes lie ready before the cook says to sell. */
const FIRST_DISHES = 3;

export class Tutorial {
	#step = null;
	#hinted = null;
	#sold = false;

	constructor(menu) {
		this.menu = menu;
		byId("coach").querySelector("button").onclick = () => {
			shared.set(KEY, "1");
			this.show(null);
		};
	}

	/** Shows the step that the game is at, none to those who know how; `advice` is what to buy next. */
	show(game, advice) {
		const step = game && !shared.get(KEY) ? this.#stepOf(game) : null;
		const soonest = step === "coachGrow" && advice?.id;
		const wanted = step === "coachBuy" ? 1 : soonest;
		if (step !== this.#step && wanted) this.menu.open(game.upgrades.get(wanted).upgrade_type);
		this.#step = step;
		byId("coach").hidden = !step;
		if (step) write(byId("coach").firstChild, say(step));
		const targets = { coachCook: byId("cook"), coachSell: byId("sell"), coachLevel: byId("rank") };
		const target = targets[step] ?? this.menu.button(wanted);
		if (target === this.#hinted) return;
		this.#hinted?.classList.remove("hint");
		target?.classList.add("hint");
		this.#hinted = target;
	}

	#stepOf(game) {
		if (game.rank > 0 || game.boost > 0) return null;
		if (!ownsDish(game)) return "coachBuy";
		const purchases = [...game.upgrades.values()].reduce((sum, u) => sum + u.times_bought, 0);
		if (purchases > 1) return "coachLevel";
		this.#sold ||= game.money > 0;
		if (this.#sold) return "coachGrow";
		return game.dishes < FIRST_DISHES && this.#step !== "coachSell" ? "coachCook" : "coachSell";
	}
}
