/** Finding a player, and one player: account, session, log-ins, what operators did. */

import { ask } from "./api.js";
import { announce, el, table } from "./dom.js";
import { moment, whole } from "./numbers.js";
import { openOrder } from "./orders.js";
import { say, word } from "./texts.js";

const FOLLOW_MS = 2000;

/** Draws the search; what was searched for last stands there again. */
let searched = "";

export function showSearch(main, failed) {
	let over = false;
	const input = el("input", { name: "text", value: searched, maxLength: 320, autocomplete: "off", spellcheck: false, type: "search" });
	const list = el("div", { className: "found" });
	const form = el(
		"form",
		{ className: "card", role: "search" },
		el("h2", {}, say("findTitle")),
		el("label", {}, say("findLabel"), input),
		el("button", { className: "primary" }, say("find")),
	);
	form.onsubmit = (event) => {
		event.preventDefault();
		look();
	};
	async function look() {
		searched = input.value.trim();
		if (!searched) return;
		try {
			const { players, more } = await ask("find", { text: searched });
			if (over) return;
			list.replaceChildren(...players.map(line), note(players, more));
			announce(say("foundCount", players.length));
		} catch (error) {
			if (!over) list.replaceChildren(failed(error));
		}
	}
	main.replaceChildren(form, el("section", { className: "card", ariaLabel: say("players") }, list));
	input.focus();
	look();
	return () => {
		over = true;
	};
}

function note(players, more) {
	return el("p", { className: "soft" }, more ? say("more") : players.length ? say("foundCount", players.length) : say("nobody"));
}

function line({ user_id: id, email, name }) {
	return el("a", { href: `#player/${id}` }, el("b", {}, String(id)), el("span", {}, email || say("guest")), el("span", {}, name || say("noName")));
}

/** Draws one player; `me` says what may be done. Returns what stops following. */
export function showPlayer(main, failed, id, me) {
	let timer = 0;
	let over = false;
	const title = el("h2", { tabIndex: -1 }, say("player", id));
	const follow = el("input", { type: "checkbox", id: "follow" });
	const body = el("div", { className: "stack" });
	const again = el("button", { className: "second", onclick: () => look(true) }, say("refresh"));
	main.replaceChildren(
		el("div", { className: "bar" }, title, el("label", { className: "row" }, follow, say("follow")), again),
		body,
	);
	title.focus();
	follow.onchange = () => {
		clearTimeout(timer);
		if (follow.checked) look();
	};
	async function look(loud = false) {
		try {
			const player = await ask("player", { id });
			if (over) return;
			draw(player);
			if (loud) announce(say("player", id));
		} catch (error) {
			if (!over) body.replaceChildren(failed(error));
		}
		clearTimeout(timer);
		if (!over && follow.checked) timer = setTimeout(look, FOLLOW_MS);
	}
	function draw(player) {
		const held = document.activeElement?.dataset.order;
		body.replaceChildren(
			...(me.read_only ? [] : [actions(player)]),
			el("div", { className: "columns" }, el("div", { className: "stack" }, account(player), owns(player), logIns(player)), session(player)),
			log(player),
		);
		if (held) body.querySelector(`[data-order="${held}"]`)?.focus();
	}
	const order = (command, player, given) => openOrder(command, player, me, given, () => look());
	function actions(player) {
		const suspended = player.suspensions.length > 0;
		const commands = [
			["give"], ["take"], ["set-rank"], ["rename"], ["reset-link"], ["export"], ["import"], ["restore-from"],
			[suspended ? "unsuspend" : "suspend", "hot"], ["log-out", "hot"], ["delete", "hot"],
		];
		const buttons = commands
			.filter(([command]) => command !== "reset-link" || player.account.email)
			.map(([command, kind = ""]) =>
				el("button", { className: `second ${kind}`, data: { order: command }, onclick: () => order(command, player, {}) }, say(command)),
			);
		return el("section", { className: "card stack", ariaLabel: say("actions") }, el("div", { className: "bar" }, buttons));
	}
	function log(player) {
		const heads = ["number", "when", "operator", "change", "before", "after", "reason", "outcome"].map((key) => say(key));
		const rows = player.log.map((entry) => [
			String(entry.number),
			moment(entry.made_at),
			entry.operator,
			word(entry.what) + (entry.undoes ? ` (${say("undo")}: ${entry.undoes})` : ""),
			word(entry.before),
			word(entry.after),
			entry.reason,
			el(
				"span",
				{},
				word(entry.outcome),
				" ",
				me.read_only || !entry.can_undo
					? ""
					: el(
							"button",
							{ className: "plain", ariaLabel: `${say("undo")}: ${entry.number}`, data: { order: `undo-${entry.number}` }, onclick: () => order("undo", player, { number: String(entry.number) }) },
							say("undo"),
						),
			),
		]);
		return el("section", { className: "card" }, rows.length ? table(say("log"), heads, rows, [0]) : el("h3", {}, `${say("log")}: ${say("none")}`));
	}
	look();
	return () => {
		over = true;
		clearTimeout(timer);
	};
}

function account({ account: own, processes, suspensions, saved_at: savedAt, unsaved_since: since }) {
	const pairs = [
		["email", own.email || say("guest")],
		["name", own.display_name || say("noName")],
		["opened", moment(own.created_at)],
		["connected", say("processCount", processes)],
		...suspensions.flatMap((each) => [
			["suspendedUntil", each.ends_at ? moment(each.ends_at) : say("noEnd")],
			["because", each.because],
		]),
		...(savedAt ? [["saved", `${moment(savedAt)}; ${since ? say("unsaved", moment(since)) : say("allSaved")}`]] : []),
	];
	const lines = pairs.flatMap(([key, text]) => [el("dt", {}, say(key)), el("dd", {}, text)]);
	return el("section", { className: "card stack" }, el("h3", {}, say("account")), el("dl", {}, lines));
}

function session({ rows, unreadable, clients }) {
	if (unreadable) return el("section", { className: "card", role: "alert" }, say("unreadable", unreadable));
	if (!rows.length) return el("section", { className: "card" }, say("neverPlayed"));
	const lines = rows.map(({ name, live, saved }) => [word(name), live, saved]);
	const tabs = Object.entries(clients).map(([name, highest]) => [name, whole(highest)]);
	return el(
		"section",
		{ className: "card stack" },
		table(say("session"), [say("thing"), "Redis", "PostgreSQL"], lines, [1, 2]),
		tabs.length ? table(say("tabs"), [say("tab"), say("highest")], tabs, [1]) : null,
	);
}

function owns({ owned }) {
	const rows = Object.entries(owned).map(([what, times]) => [what, whole(times)]);
	return el("section", { className: "card" }, rows.length ? table(say("owns"), [say("thing"), say("times")], rows, [1]) : el("h3", {}, `${say("owns")}: ${say("none")}`));
}

function logIns({ log_ins: families }) {
	const rows = families.map((each) => [moment(each.began_at), moment(each.used_at), each.ended_at ? moment(each.ended_at) : say("live")]);
	return el("section", { className: "card" }, rows.length ? table(say("logIns"), [say("began"), say("used"), say("ended")], rows) : el("h3", {}, `${say("logIns")}: ${say("none")}`));
}
