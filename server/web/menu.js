/** The menu: what can be bought, on five shelves. */

import { wordsFor } from "./advice.js";
import { byId, el, write } from "./dom.js";
import { icon } from "./drawings.js";
import { precise, readable, span, step as stepOf } from "./numbers.js";
import { boostStep, MOST_AT_ONCE, onSale, price, purchases } from "./rules.js";
import { shared } from "./storage.js";
import { named, say, spoken } from "./texts.js";

/** The shelf that was in front last. */
const KEY = "click-and-cook.shelf";
/** How many are bought at once, and where the choice is kept. */
const COUNTS = [1, 10, MOST_AT_ONCE];
const COUNT_KEY = "click-and-cook.count";
const SHELVES = ["dish", "equipment", "global", "staff", "point"];

const number = (value) => readable(value, spoken(), 2);
/** A narrow row has no room for a step of large numbers: there it may break after its arrow. */
const narrow = matchMedia("(max-width: 25em)");
const breakable = (text) => (narrow.matches ? text.replace(/→\u00a0(?=.{6})/u, "→ ") : text);
const sentence = ({ key, spans }) => say(key, ...spans.map((seconds) => span(seconds, spoken())));
/** The order on a shelf: on sale, locked, owned. */
const rankOf = (upgrade, game) => (!onSale(upgrade) ? 2 : upgrade.access_level > game.rank ? 1 : 0);

const isAffordable = (upgrade, game) => rankOf(upgrade, game) === 0 && price(upgrade) <= game.money;

export class Menu {
	#shown = SHELVES.includes(shared.get(KEY)) ? shared.get(KEY) : "dish";
	#count = COUNTS.find((count) => String(count) === shared.get(COUNT_KEY)) ?? 1;
	/** How far each shelf was scrolled. */
	#scrolled = new Map();
	/** The row that stands for all owned dishes, and whether they stand below it. */
	#fold = this.#buildFold();
	#unfolded = false;
	#items = new Map();
	/** What each item and tab shows: it is written only where that changes. */
	#written = new WeakMap();
	#order = "";
	#game = null;
	/** What pays back first. */
	#advice = null;

	/** @param {(upgrade: object, item: HTMLElement, count: number) => void} buy */
	constructor(buy) {
		this.buy = buy;
		for (const count of COUNTS) byId("count").append(el("button", { onclick: () => this.#choose(count) }));
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
		const shelf = byId("shelf");
		this.#scrolled.set(this.#shown, shelf.scrollTop);
		this.#shown = type;
		shared.set(KEY, type);
		this.#showAgain();
		shelf.scrollTop = this.#scrolled.get(type) ?? 0;
	}

	#choose(count) {
		this.#count = count;
		shared.set(COUNT_KEY, String(count));
		this.#showAgain();
	}

	#showCounts() {
		if (this.#shows(byId("count"), this.#count, spoken())) return;
		[...byId("count").children].forEach((button, i) => {
			write(button, COUNTS[i] === MOST_AT_ONCE ? say("countMax") : `×${COUNTS[i]}`);
			button.ariaPressed = COUNTS[i] === this.#count;
		});
	}

	/** The button of an upgrade, where its shelf is the one in front. */
	button(id) {
		return this.#items.get(id)?.querySelector("button");
	}

	#showAgain() {
		if (this.#game) this.show(this.#game, this.#advice);
	}

	/** Shows a game, and the advice for it: see `advise`. */
	show(game, advice) {
		this.#game = game;
		this.#advice = advice;
		this.#showCounts();
		const best = game.upgrades.get(advice?.id)?.upgrade_type;
		const affordable = new Set([...game.upgrades.values()].filter((each) => isAffordable(each, game)).map((each) => each.upgrade_type));
		for (const type of SHELVES) this.#showTab(type, affordable.has(type), type === best);
		const all = [...game.upgrades.values()].filter((upgrade) => upgrade.upgrade_type === this.#shown);
		all.sort((a, b) => rankOf(a, game) - rankOf(b, game));
		const owned = all.filter((upgrade) => rankOf(upgrade, game) === 2);
		const shelf = this.#unfolded ? all : all.filter((upgrade) => !owned.includes(upgrade));
		const order = [this.#unfolded, owned.length > 0, ...shelf.map(({ id }) => id)].join();
		if (order !== this.#order) this.#arrange(shelf, all.length - owned.length, owned.length > 0);
		this.#order = order;
		this.#showFold(owned);
		// A list without a stop could not be scrolled by keys.
		byId("shelf").tabIndex = shelf.some((upgrade) => rankOf(upgrade, game) === 0) ? -1 : 0;
		for (const upgrade of shelf) this.#showItem(upgrade, game);
	}

	/** Puts the rows up; the fold's stands at that place, where there is one. */
	#arrange(shelf, foldAt, folds) {
		const list = byId("shelf").firstChild;
		const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
		this.#items = new Map(shelf.map((upgrade) => [upgrade.id, this.#items.get(upgrade.id) ?? this.#build(upgrade)]));
		const rows = [...this.#items.values()];
		if (folds) rows.splice(foldAt, 0, this.#fold);
		list.replaceChildren(...rows);
		// What was bought moves away: the next thing takes its place under the focus.
		if (focused >= 0) list.children[Math.min(focused, rows.length - 1)].querySelector("button").focus({ preventScroll: true });
	}

	/** A dot says that something can be bought, a star that it is the best. */
	#showTab(type, isAffordable, isBest) {
		const tab = byId(`tab-${type}`);
		const shown = type === this.#shown;
		if (this.#shows(tab, shown, isAffordable, isBest, spoken())) return;
		tab.ariaSelected = shown;
		tab.tabIndex = shown ? 0 : -1;
		tab.classList.toggle("affordable", isAffordable);
		tab.classList.toggle("best", isBest);
		tab.title = tab.ariaDescription = isBest ? say("shelfBest") : isAffordable ? say("shelfAffordable") : "";
		if (shown) byId("shelf").setAttribute("aria-labelledby", tab.id);
	}

	/** Whether the element shows these values already; from now on it does. */
	#shows(element, ...values) {
		const shown = values.join("|");
		if (this.#written.get(element) === shown) return true;
		this.#written.set(element, shown);
		return false;
	}

	#buildFold() {
		const button = el("button", {});
		button.onclick = () => {
			this.#unfolded = !this.#unfolded;
			this.#showAgain();
		};
		return el("li", { className: "item fold" }, icon("tick"), button);
	}

	#showFold(owned) {
		if (this.#shows(this.#fold, owned.length, this.#unfolded, spoken())) return;
		const [, button] = this.#fold.children;
		button.ariaExpanded = this.#unfolded;
		write(button, say("ownedDishes", owned.length));
	}

	#build({ id, icon_name: name }) {
		const button = el("button", {}, icon("coin"), el("span"));
		const words = el("div", {}, el("h3"), el("p"));
		const item = el("li", { className: "item" }, icon(name), words, button, el("em", { className: "badge" }));
		button.onclick = () => this.buy(this.#game.upgrades.get(id), item, this.#count);
		return item;
	}

	#showItem(upgrade, game) {
		const item = this.#items.get(upgrade.id);
		const [, words, button, badge] = item.children;
		const state = ["sale", "locked", "owned"][rankOf(upgrade, game)];
		const name = named(upgrade.names, upgrade.name);
		// As many as the money lasts for, up to the count that is chosen; one where it lasts for none.
		const many = this.#count > 1 && state === "sale" ? purchases(upgrade, this.#count, game.money) : { times: 0 };
		const cost = many.times ? many.cost : price(upgrade);
		const step = boostStep(game, upgrade);
		step.gain = upgrade.boost.value * (many.times || 1);
		step.after += step.gain - upgrade.boost.value;
		const isBest = price(upgrade) > 0 && this.#advice?.id === upgrade.id;
		const advice = isBest ? wordsFor(this.#advice, upgrade).map(sentence).join(" ") : "";
		const dear = cost > game.money;
		const numbers = [cost, dear, many.times, upgrade.times_bought, step.before, step.after, narrow.matches];
		if (this.#shows(item, state, name, advice, spoken(), ...numbers)) return;
		const { before, after, multiplier } = step;
		const fromTo = stepOf(before, after, spoken());
		const values = multiplier ? fromTo : [precise(step.gain, spoken()), ...fromTo];
		const times = upgrade.times_bought && state !== "owned" ? ` ×${upgrade.times_bought}` : "";
		item.className = `item ${state}`;
		write(words.firstChild, name + times);
		write(words.lastChild, breakable(say(upgrade.boost.boost_type, ...values)));
		const sale = cost === 0 ? say("free") : (many.times > 1 ? `×${many.times}: ` : "") + number(cost);
		write(button.lastChild, { sale, locked: say("fromRank", upgrade.access_level), owned: say("owned") }[state]);
		const drawing = { sale: "coin", locked: "lock", owned: "tick" }[state];
		button.querySelector("use").setAttribute("href", `#i-${drawing}`);
		button.ariaDisabled = state !== "sale" || dear;
		// What cannot be bought is read with the list, and no stop for the keyboard.
		button.tabIndex = state === "sale" ? 0 : -1;
		const offer = button.textContent;
		button.ariaLabel = state === "sale" ? say("buy", name, offer) : `${name}: ${offer}`;
		badge.hidden = !isBest;
		write(badge, advice);
	}
}
