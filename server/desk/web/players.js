/** Finding a player, and one player: account, session, log-ins, what operators did. */

import { ask } from "./api.js";
import { announce, el, redraw, table } from "./dom.js";
import { moment, whole } from "./numbers.js";
import { openOrder } from "./orders.js";
import { say, tongue, word } from "./texts.js";

const AGAIN_MS = 2000;
const MOST_LINES = 50;

let searched = "";

/** Draws the search; what was searched for last stands there again. */
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
	let over = false;
	let waiting = new AbortController();
	const drawn = {};
	const slot = (name) => el("div", { className: "slot", data: { slot: name } });
	const title = el("h2", { tabIndex: -1 }, say("player", id));
	const follow = el("input", { type: "checkbox", id: "follow" });
	const problem = el("div", { className: "slot" });
	const heard = el("ol", { className: "heard", tabIndex: 0, ariaLabel: say("changes") });
	const live = el("section", { className: "card stack", hidden: true }, el("h3", {}, say("changes")), heard);
	const body = el(
		"div",
		{ className: "stack" },
		slot("actions"),
		live,
		el("div", { className: "columns" }, el("div", { className: "stack" }, slot("account"), slot("owns"), slot("logIns")), slot("session")),
		slot("log"),
	);
	const again = el("button", { className: "second", onclick: () => look(true) }, say("refresh"));
	main.replaceChildren(
		el("div", { className: "bar" }, title, el("label", { className: "row" }, follow, say("follow")), again),
		problem,
		body,
	);
	title.focus();
	follow.onchange = () => {
		waiting.abort();
		live.hidden = !follow.checked;
		problem.replaceChildren();
		if (follow.checked) listen();
	};
	function wrong(error) {
		if (over) return;
		problem.replaceChildren(failed(error));
		body.hidden = error.status === 404;
	}
	async function look(loud = false) {
		try {
			const player = await ask("player", { id });
			if (over) return;
			draw(player);
			if (loud) announce(say("player", id));
		} catch (error) {
			wrong(error);
		}
	}
	/** Asks for what changes until nobody follows any more; each answer waits for the next change. */
	async function listen() {
		const { signal } = (waiting = new AbortController());
		let since = "";
		while (!signal.aborted) {
			try {
				const said = await ask("follow", { id, since }, signal);
				if (signal.aborted) return;
				since = said.since;
				draw(said.player);
				heard.prepend(...said.lines.reverse().map(change), ...(said.missed ? [el("li", {}, "…")] : []));
				while (heard.childElementCount > MOST_LINES) heard.lastChild.remove();
			} catch (error) {
				if (signal.aborted) return;
				wrong(error);
				await new Promise((done) => setTimeout(done, AGAIN_MS));
			}
		}
	}
	/** Draws what differs: what stays the same keeps the focus, and a click that is under way. */
	function draw(player) {
		problem.replaceChildren();
		body.hidden = false;
		const { account: own, processes, suspensions, saved_at, unsaved_since, owned, log_ins, rows, unreadable, clients } = player;
		const parts = {
			...(me.read_only ? {} : { actions: [actions, [own.email, suspensions.length]] }),
			account: [account, [own, processes, suspensions, saved_at, unsaved_since]],
			owns: [owns, owned],
			logIns: [logIns, log_ins],
			session: [session, [rows, unreadable, clients]],
			log: [log, player.log],
		};
		for (const [name, [make, data]] of Object.entries(parts)) {
			const text = JSON.stringify(data);
			if (drawn[name] !== text) redraw(body.querySelector(`[data-slot=${name}]`), make(player));
			drawn[name] = text;
		}
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
		waiting.abort();
	};
}

function change({ at_ms: at, kind, data }) {
	return el("li", {}, el("time", {}, new Date(at).toLocaleTimeString(tongue())), el("b", {}, kind), el("span", {}, data));
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
