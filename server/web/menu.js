/** The menu: what can be bought, on five shelves. */

import { byId, el, write } from "./dom.js";
import { icon } from "./drawings.js";
import { readable, span } from "./numbers.js";
import { boostStep, onSale, price, soonestPaidBack } from "./rules.js";
import { named, say, spoken } from "./texts.js";

const SHELVES = ["dish", "equipment", "global", "staff", "point"];

const number = (value) => readable(value, spoken(), 2);
/** The order on a shelf: on sale, locked, owned. */
const rankOf = (upgrade, game) => (!onSale(upgrade) ? 2 : upgrade.access_level > game.rank ? 1 : 0);

export class Menu {
	#shown = "dish";
	#items = new Map();
	/** What each item and tab shows: it is written only where that changes. */
	#written = new WeakMap();
	#order = "";
	#game = null;

	/** @param {(upgrade: object, item: HTMLElement) => void} buy */
	constructor(buy) {
		this.buy = buy;
		const tabs = document.querySelector("[role=tablist]");
		for (const type of SHELVES) {
			const tab = el("button", { id: `tab-${type}`, role: "tab", onclick: () => this.open(type) });
			tab.setAttribute("aria-controls", "shelf");
			tab.dataset.t = type;
			tabs.append(tab);
		}
		tabs.onkeydown = ({ key }) => {
			const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
			if (!step) return;
			this.open(SHELVES.at((SHELVES.indexOf(this.#shown) + step) % SHELVES.length));
			byId(`tab-${this.#shown}`).focus();
		};
	}

	/** Brings one shelf to the front. */
	open(type) {
		this.#shown = type;
		byId("shelf").scrollTop = 0;
		if (this.#game) this.show(this.#game);
	}

	/** The button of an upgrade, where its shelf is the one in front. */
	button(id) {
		return this.#items.get(id)?.querySelector("button");
	}

	show(game) {
		this.#game = game;
		const soonest = soonestPaidBack(game);
		for (const type of SHELVES) this.#showTab(type, game.upgrades.get(soonest?.id)?.upgrade_type === type);
		const shelf = [...game.upgrades.values()].filter((upgrade) => upgrade.upgrade_type === this.#shown);
		shelf.sort((a, b) => rankOf(a, game) - rankOf(b, game));
		const order = shelf.map(({ id }) => id).join();
		if (order !== this.#order) this.#arrange(shelf);
		this.#order = order;
		// A list without a stop could not be scrolled by keys.
		byId("shelf").tabIndex = shelf.some((upgrade) => rankOf(upgrade, game) === 0) ? -1 : 0;
		for (const upgrade of shelf) this.#showItem(upgrade, game, soonest);
	}

	#arrange(shelf) {
		const list = byId("shelf").firstChild;
		const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
		this.#items = new Map(shelf.map((upgrade) => [upgrade.id, this.#items.get(upgrade.id) ?? this.#build(upgrade)]));
		list.replaceChildren(...this.#items.values());
		// What was bought moves away: the next thing takes its place under the focus.
		list.children[focused]?.querySelector("button").focus({ preventScroll: true });
	}

	#showTab(type, holdsSoonest) {
		const tab = byId(`tab-${type}`);
		const shown = type === this.#shown;
		if (this.#shows(tab, shown, holdsSoonest)) return;
		tab.ariaSelected = shown;
		tab.tabIndex = shown ? 0 : -1;
		tab.classList.toggle("fresh", holdsSoonest && !shown);
		if (shown) byId("shelf").setAttribute("aria-labelledby", tab.id);
	}

	/** Whether the element shows these values already; from now on it does. */
	#shows(element, ...values) {
		const shown = values.join("|");
		if (this.#written.get(element) === shown) return true;
		this.#written.set(element, shown);
		return false;
	}

	#build({ id, icon_name: name }) {
		const button = el("button", {}, icon("coin"), el("span"));
		const words = el("div", {}, el("h3"), el("p"));
		const item = el("li", { className: "item" }, icon(name), words, button, el("em", { className: "badge" }));
		button.onclick = () => this.buy(this.#game.upgrades.get(id), item);
		return item;
	}

	#showItem(upgrade, game, soonest) {
		const item = this.#items.get(upgrade.id);
		const [, words, button, badge] = item.children;
		const state = ["sale", "locked", "owned"][rankOf(upgrade, game)];
		const name = named(upgrade.names, upgrade.name);
		const cost = price(upgrade);
		const step = boostStep(game, upgrade);
		const isSoonest = cost > 0 && soonest?.id === upgrade.id;
		const paid = isSoonest ? span(soonest.seconds, spoken()) : "";
		const dear = cost > game.money;
		const numbers = [cost, dear, upgrade.times_bought, step.before, step.after];
		if (this.#shows(item, state, name, paid, spoken(), ...numbers)) return;
		const { before, after, multiplier } = step;
		const values = multiplier ? [before, after] : [upgrade.boost.value, before, after];
		const times = upgrade.times_bought && state !== "owned" ? ` ×${upgrade.times_bought}` : "";
		item.className = `item ${state}`;
		write(words.firstChild, name + times);
		write(words.lastChild, say(upgrade.boost.boost_type, ...values.map(number)));
		const sale = cost === 0 ? say("free") : number(cost);
		write(button.lastChild, { sale, locked: say("fromRank", upgrade.access_level), owned: say("owned") }[state]);
		const drawing = { sale: "coin", locked: "lock", owned: "tick" }[state];
		button.querySelector("use").setAttribute("href", `#i-${drawing}`);
		button.ariaDisabled = state !== "sale" || dear;
		// What cannot be bought is read with the list, and no stop for the keyboard.
		button.tabIndex = state === "sale" ? 0 : -1;
		const offer = button.textContent;
		button.ariaLabel = state === "sale" ? say("buy", name, offer) : `${name}: ${offer}`;
		badge.hidden = !isSoonest;
		if (isSoonest) write(badge, say("soonest", paid));
	}
}
