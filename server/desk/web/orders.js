/** An order: what is to be done and why, what changes by it, then what came of it. */

import { ask } from "./api.js";
import { announce, byId, el, table } from "./dom.js";
import { say, word } from "./texts.js";

const AMOUNTS = ["money", "dishes", "xp", "stars", "accumulated", "boost"];
const SPANS = ["1h", "12h", "1d", "3d", "7d", "30d", "365d"];
const DANGEROUS = ["suspend", "log-out", "delete", "import", "restore-from"];
const LINE = { maxLength: 500, required: true, autocomplete: "off" };

let opener = null;
let place = 0;

/** Keeps the keyboard in the dialog: past its last stop comes the first, not the browser's own buttons. */
function stay(event) {
	if (event.key !== "Tab") return;
	const stops = [...byId("dialog").querySelectorAll("button,input,select,[tabindex='0']")];
	const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
	const { activeElement: held } = document;
	if (held !== from && !(event.shiftKey && held === byId("dialog-title"))) return;
	event.preventDefault();
	to.focus();
}

/** Lets the dialog be closed, and gives the focus back. */
export function setUpDialog() {
	byId("dialog").onkeydown = stay;
	byId("dialog-close").onclick = () => byId("dialog").close();
	byId("dialog").onclose = () => {
		// What opened it may be drawn again by now, as another action in its place, or gone.
		const again = opener.isConnected ? opener : (document.querySelector(`[data-order="${opener.dataset.order}"]`) ?? actions()[place]);
		(again?.offsetParent ? again : byId("main")).focus();
	};
}

const actions = () => [...document.querySelectorAll("main [data-order]")];

function show(title, ...children) {
	byId("dialog-title").textContent = title;
	byId("dialog-body").replaceChildren(...children);
	if (!byId("dialog").open) {
		opener = document.activeElement;
		place = actions().indexOf(opener);
		byId("dialog").showModal();
	}
}

/** Opens the dialog of a command for a player; `given` are fields that are known, `done` is called after it. */
export function openOrder(command, player, me, given, done) {
	const id = String(player.account.user_id);
	if (command === "export") {
		download(id).catch((error) => show(say("export"), el("p", { role: "alert" }, error.message || say("noAnswer"))));
		return;
	}
	const problem = el("p", { role: "alert" });
	const form = el("form", {}, fieldsOf(command, me, given), reason(command), repeat(), problem, el("button", { className: "primary" }, say("next")));
	form.onsubmit = async (event) => {
		event.preventDefault();
		problem.textContent = "";
		try {
			const order = { id, command, ...given, ...(await read(form)) };
			const { changes } = await ask("preview", order);
			confirm(order, changes);
		} catch (error) {
			problem.textContent = error.message || say("noAnswer");
		}
	};
	function begin() {
		show(`${say(command)}: ${say("player", id)}`, form);
		form.querySelector("input,select").focus();
	}
	function confirm(order, changes) {
		const wrong = el("p", { role: "alert" });
		const go = el("button", { className: `primary ${DANGEROUS.includes(command) ? "danger" : ""}`, type: "button" }, say("doIt"));
		go.onclick = async () => {
			// Disabled it would lose the focus.
			if (go.ariaDisabled) return;
			go.ariaDisabled = "true";
			try {
				tell(await ask("order", order));
				done();
			} catch (error) {
				wrong.textContent = error.message || say("noAnswer");
				go.ariaDisabled = null;
			}
		};
		const back = el("button", { className: "second", type: "button", onclick: begin }, say("back"));
		show(
			say("willChange"),
			el(
				"div",
				{ className: "stack" },
				differences(changes),
				el("p", {}, `${say("reason")}: ${order.reason}`),
				el("p", { className: "soft" }, command === "delete" ? say("forGood") : say("playing")),
				wrong,
				el("div", { className: "bar" }, go, back),
			),
		);
		byId("dialog-title").focus();
	}
	begin();
}

/** Says what came of an order. */
function tell({ number, outcome, why, earlier, changes, link }) {
	const title = say(outcome === "done" ? "doneTitle" : "refusedTitle", number);
	const close = el("button", { className: "primary", type: "button", onclick: () => byId("dialog").close() }, say("close"));
	show(
		title,
		el(
			"div",
			{ className: "stack" },
			earlier ? el("p", {}, say("earlier")) : null,
			why ? el("p", { role: "alert" }, why) : null,
			changes.length ? differences(changes) : null,
			link ? el("p", { className: "link", tabIndex: 0 }, link) : null,
			link ? el("p", { className: "soft" }, say("linkNote")) : null,
			close,
		),
	);
	announce(title);
	close.focus();
}

function differences(changes) {
	if (!changes.length) return el("p", {}, say("noChange"));
	const rows = changes.map(({ what, before, after }) => [word(what), word(before), word(after)]);
	return table(say("change"), [say("thing"), say("before"), say("after")], rows, [1, 2]);
}

function fieldsOf(command, me, given) {
	switch (command) {
		case "give":
		case "take":
			return [
				el("label", {}, say("thing"), el("select", { name: "what" }, AMOUNTS.map((name) => new Option(word(name), name)), me.upgrades.map(({ id, icon }) => new Option(`${icon} (${id})`, id)))),
				el("label", {}, say("amount"), el("input", { name: "amount", inputMode: "decimal", ...LINE, maxLength: 320 })),
			];
		case "set-rank":
			return [el("label", {}, say("rank"), el("input", { name: "rank", inputMode: "numeric", pattern: "[0-9]{1,3}", ...LINE }))];
		case "rename":
			return [el("label", {}, say("newName"), el("input", { name: "name", ...LINE, maxLength: 100 }))];
		case "suspend":
			return [el("label", {}, say("howLong"), el("select", { name: "for" }, SPANS.map((span) => new Option(span, span)), new Option(say("withoutEnd"), "without-end")))];
		case "import":
		case "restore-from":
			return [el("label", {}, say("file"), el("input", { name: "export", type: "file", accept: ".json,application/json", required: true }))];
		case "undo":
			return [el("p", {}, `${say("number")} ${given.number}`)];
		default:
			return [];
	}
}

function reason(command) {
	const note = command === "suspend" ? el("small", {}, say("playerReads")) : null;
	return el("label", {}, say("why"), el("input", { name: "reason", ...LINE }), note);
}

function repeat() {
	return el("label", { className: "row" }, el("input", { name: "again", type: "checkbox" }), say("again"));
}

/** Reads a form into the fields of an order; a file as its text. */
async function read(form) {
	const order = {};
	for (const { name, type, value, checked, files } of form.elements) {
		if (!name) continue;
		if (type === "checkbox") order[name] = checked ? "yes" : "";
		else order[name] = type === "file" ? await files[0].text() : value.trim();
	}
	return order;
}

/** Saves what the player gets by `GET /export` as a file. */
async function download(id) {
	const text = JSON.stringify(await ask("export", { id }));
	const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
	el("a", { href, download: `click-and-cook-${id}.json` }).click();
	setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
