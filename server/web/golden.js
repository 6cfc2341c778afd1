/** A golden guest now and then: when one comes, and what one pays, the server says; here they wait and go. */

import { byId, calm, toast } from "./dom.js";
import { sound } from "./hearing.js";
import { readable } from "./numbers.js";
import { gameRates, ownsDish } from "./rules.js";
import { say, spoken } from "./texts.js";

/** The guest goes a little sooner than the server says: a click takes its time to get there. */
const EARLY_MS = 1_500;
const WALK_MS = 1_400;
/** A question that was refused is asked again after this. */
const AGAIN_MS = 20_000;
/** So many seconds' money at once is more than a late message brings: another tab may have served the guest. */
const AT_ONCE_S = 3;

export class Golden {
	#button = byId("golden");
	/** Who waits or comes next: `{ id, comesMs, leavesMs }`, in the time of the page. */
	#guest = null;
	#askMs = 0;
	#asks = false;
	#askServedMs = 0;

	/** @param {{ask: Function, cheer: Function}} table what sends a request, and what shows a gain at a button */
	constructor(table) {
		this.table = table;
		this.#button.onclick = () => this.#ask({ serve: this.#guest.id });
	}

	/** What is known of the guests may be old. */
	forget() {
		this.#guest = null;
		this.#askMs = 0;
	}

	/** Looks once a second who is there. In the first minutes, while the cook explains, nobody comes. */
	tick(game) {
		const nowMs = performance.now();
		const { comesMs, leavesMs } = this.#guest ?? { comesMs: Infinity, leavesMs: -Infinity };
		const isOpen = game && game.rank > 0 && ownsDish(game);
		this.#show(isOpen && comesMs <= nowMs && nowMs < leavesMs - EARLY_MS);
		if (isOpen && nowMs >= leavesMs && nowMs >= this.#askMs && !document.hidden) this.#ask({});
	}

	/** Takes money that came without this tab's doing: a guest who was served elsewhere must not stand here. */
	came(money, game) {
		const { passiveMoneyFor, soldAtOnce } = gameRates(game);
		const nowMs = performance.now();
		if (this.#button.hidden || money <= AT_ONCE_S * passiveMoneyFor(soldAtOnce) || nowMs < this.#askServedMs) return;
		this.#askServedMs = nowMs + AGAIN_MS;
		this.#ask({});
	}

	async #ask(request) {
		if (this.#asks) return;
		this.#asks = true;
		const { data, code } = await this.table.ask("golden_guest", request);
		this.#asks = false;
		this.#askMs = performance.now() + AGAIN_MS;
		if (code === "no_golden_guest") this.forget();
		else if (data) this.#met(data);
		if (request.serve && code) toast(say(code));
	}

	#met({ gain, guest }) {
		const { id, comes_in_ms: comesInMs, leaves_in_ms: leavesInMs } = guest;
		const nowMs = performance.now();
		this.#guest = { id, comesMs: nowMs + comesInMs, leavesMs: nowMs + leavesInMs };
		if (gain > 0) {
			this.table.cheer(this.#button, gain);
			toast(say("goldenPaid", readable(gain, spoken())), "coin");
			sound("medal");
		}
		if (comesInMs) this.#show(false);
	}

	#show(isHere) {
		const button = this.#button;
		if (button.hidden !== isHere) return;
		// The focus must not fall out of the page.
		if (!isHere && document.activeElement === button) byId("kitchen").focus({ preventScroll: true });
		button.hidden = !isHere;
		if (isHere && !calm.matches) button.animate({ translate: ["110% 0", "0 0"] }, WALK_MS);
	}
}
