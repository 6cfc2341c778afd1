/** What opens over the game: stars, achievements, the board, the account, and what came while away. */

import { closeDialog, dialogShows, el, openDialog, toast, write } from "./dom.js";
import { icon } from "./drawings.js";
import { precise, readable, span, step } from "./numbers.js";
import { resetPreview } from "./rules.js";
import { sums } from "./sums.js";
import { makeSure } from "./sure.js";
import { named, say, spoken } from "./texts.js";

const number = (value, places = 2) => readable(value, spoken(), places);
const words = (tag, textContent, className = "") => el(tag, { textContent, className });
const row = (className, ...children) => el("li", { className: `row ${className}` }, ...children);
const facts = (...pairs) => el("dl", {}, ...pairs.flatMap(([term, fact]) => [words("dt", say(term)), words("dd", fact)]));

export class Dialogs {
	/** The kitchen's name, where it is known. */
	#name = "";

	/**
	 * @param table `game` gives the game as it looks now; `ask` sends a request and resolves to `{data}` of its answer, or
	 *   to `{code, message}`; `account` opens the account's dialog; `playedS` says for how long one has played
	 */
	constructor(table) {
		this.table = table;
		for (const button of document.querySelectorAll("[data-opens]")) {
			button.onclick = () => this[button.dataset.opens]();
		}
	}

	/** The prestige stars, and what a reset would bring. */
	stars() {
		const game = this.table.game();
		const after = resetPreview(game);
		const ready = game.accumulated >= 1;
		const reset = words("button", say("reset", number(after.stars)), "primary");
		reset.disabled = !ready;
		reset.onclick = () => this.#askReset(after);
		const [starsNow, starsAfter] = step(game.stars, after.stars, spoken(), 4);
		const [pricesNow, pricesAfter] = step(game.boost || 1, after.boost, spoken());
		const now = [["starsNow", starsNow], ["pricesNow", `×${pricesNow}`]];
		const then = [["starsGathered", precise(game.accumulated, spoken(), 4)], ["starsAfter", `${starsAfter} ★, ×${pricesAfter}`]];
		openDialog("stars", words("p", say("starsText")), facts(...now, ...then), ready ? "" : words("p", say("needStar")), reset);
	}

	/** What a reset takes, leaves and brings, and the button that does it. */
	#askReset(after) {
		const { money, dishes, rank, upgrades, boost } = this.table.game();
		const bought = [...upgrades.values()].reduce((sum, { times_bought: times }) => sum + times, 0);
		const lost = [["money", number(money)], ["dishes", number(dishes)], ["rankLost", number(rank)], ["upgradesLost", number(bought)]];
		const factor = say("factorStep", ...step(boost || 1, after.boost, spoken()));
		const brings = [["starsAfter", `${precise(after.stars, spoken(), 4)} ★`], ["prices", factor]];
		const about = [words("h3", say("lost")), facts(...lost), words("h3", say("kept")), words("p", say("keptText")), words("h3", say("brings")), facts(...brings)];
		makeSure("resetTitle", "resetSure", () => this.#reset(), ...about);
	}

	async #reset() {
		const { data, code, message } = await this.table.ask("session_reset");
		closeDialog();
		toast(data ? say("resetDone", number(this.table.game().boost)) : (say(code) ?? message), "star");
	}

	/** The achievements with their progress, and what the player did in a lifetime. */
	async medals() {
		openDialog("medals", "…");
		const { data } = await this.table.ask("achievements");
		if (!data || !dialogShows("medals")) return;
		const { rank, stars } = this.table.game();
		const counts = { rank, stars, ...data.statistics };
		const done = data.achievements.filter((each) => each.done);
		const rows = [...data.achievements.filter((each) => !each.done), ...done].map((each) => this.#medal(each, counts));
		const { clicks, cooked, earned, purchases, resets } = counts;
		const lifetime = Object.entries({ clicks, cooked, earned, purchases, resets }).map(([name, count]) => [name, number(count, 0)]);
		const time = ["played", span(this.table.playedS(), spoken())];
		const have = say("medalsHave", done.length, data.achievements.length);
		openDialog("medals", words("h3", say("lifetime")), facts(...lifetime, time), words("h3", have), el("ul", {}, ...rows));
	}

	#medal({ title, titles, text, texts, counter, threshold, done }, counts) {
		const about = el("div", {}, words("b", named(titles, title)), words("p", named(texts, text)));
		if (done) return row("", icon("staff_quality"), about, words("span", say("done")));
		const count = Math.min(counts[counter], threshold);
		const label = say("ofAll", number(count, 0), number(threshold, 0));
		about.append(el("progress", { max: threshold, value: count, ariaLabel: label }));
		return row("undone", icon("staff_quality"), about, words("span", label));
	}

	/** What each sum comes from. */
	sums() {
		const parts = ({ key, upgrade, times, value }) =>
			[words("dt", say(key, upgrade && named(upgrade.names, upgrade.name), times)), words("dd", say(`${key}Value`, precise(value, spoken())))];
		const shown = sums(this.table.game()).map(({ key, total, parts: all }) => {
			const list = el("dl", {}, ...all.flatMap(parts));
			return el("section", {}, words("h3", say(key, precise(total, spoken()))), all.length ? list : words("p", say("nothingYet")));
		});
		openDialog("sums", ...shown);
	}

	async board(by = "money") {
		openDialog("board", "…");
		const { data } = await this.table.ask("leaderboard", { by });
		if (!data || !dialogShows("board")) return;
		const choice = ["money", "stars"].map((each) => {
			const button = words("button", say(`by_${each}`), each === by ? "primary" : "plain");
			button.ariaPressed = each === by;
			button.onclick = () => this.board(each);
			return button;
		});
		const own = data.me?.name;
		const line = ({ place, name, value }) =>
			row(name === own ? "me" : "", place ? `${place}.` : "…", words("b", name), words("span", number(value)));
		const lines = data.entries.map(line);
		// The board is some seconds old: who is new, or not among the first, stands below it.
		if (own && !data.entries.some(({ name }) => name === own)) lines.push(line(data.me));
		const list = lines.length ? el("ul", {}, ...lines) : words("p", say("nobody"));
		openDialog("board", el("p", { className: "switch" }, ...choice), list, this.nameForm(() => this.board(by), own));
	}

	/** The form of the kitchen's name on the board; `done` is called when it is changed. */
	nameForm(done, name = this.#name) {
		this.#name = name;
		const input = el("input", { name: "kitchen", autocomplete: "off", value: name ?? "", minLength: 3, maxLength: 24, required: true });
		const why = el("p", { role: "alert" });
		input.oninput = () => write(why, "");
		if (!name) this.#fillIn(input);
		const form = el("form", {}, el("label", {}, say("name"), input), why, words("button", say("setName"), "primary"));
		form.onsubmit = async (event) => {
			event.preventDefault();
			const { code, message } = await this.table.ask("name_set", { name: input.value.trim() });
			if (code) write(why, say(code) ?? message);
			else {
				this.#name = input.value.trim();
				done();
			}
		};
		return form;
	}

	account() {
		this.table.account();
	}

	/** Which keys do what. */
	keysTitle() {
		const keys = { C: "keyCook", S: "keySell", L: "keyLevel", "← →": "keyArrows", "?": "keyHelp" };
		const rows = Object.entries(keys).flatMap(([key, does]) => [words("dt", say(does)), words("dd", key)]);
		openDialog("keysTitle", el("dl", {}, ...rows));
	}

	async #fillIn(input) {
		const { data } = await this.table.ask("leaderboard", { by: "money" });
		this.#name ||= data?.me?.name ?? "";
		input.value ||= this.#name;
	}

	/** What a gap brought. */
	away({ seconds, away_seconds: gap, money, dishes, xp, stars }) {
		const signed = (gain) => (gain < 0 ? "−" : "+") + number(Math.abs(gain), 4);
		const times = [span(seconds, spoken()), span(gap, spoken())];
		const signedAll = (gains) => Object.entries(gains).map(([term, gain]) => [term, signed(gain)]);
		if (gap < 60) {
			const gains = signedAll(stars ? { money, stars } : { money });
			toast(say("awayShort", ...times, gains.map(([term, gain]) => `${say(term)} ${gain}`).join(", ")), "coin");
		} else openDialog("away", words("p", say("awayText", ...times)), facts(...signedAll({ money, dishes, experience: xp, stars })));
	}
}
