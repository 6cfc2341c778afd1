/** The desk's page: the entrance, then the section that the address names after its #. */

import { ask, forgetToken, keepToken, token } from "./api.js";
import { byId, el } from "./dom.js";
import { showNow } from "./now.js";
import { setUpDialog } from "./orders.js";
import { showPlayer, showSearch } from "./players.js";
import { changeTongue, say, translate } from "./texts.js";

const STATUS_KEYS = { 0: "noAnswer", 401: "wrongToken", 429: "tooManyTokens" };

let me = null;
let stop = () => {};

const main = byId("main");
const message = (error) => (error.status in STATUS_KEYS ? say(STATUS_KEYS[error.status]) : error.message);

/** What stands where something could not be shown; who is no longer known has to come in again. */
function failed(error) {
	if (error.status === 401) setTimeout(leave);
	return el("p", { className: "card", role: "alert" }, message(error));
}

function showEntrance(problem = "") {
	const input = el("input", { name: "token", type: "password", autocomplete: "off", required: true });
	const alert = el("p", { role: "alert" }, problem);
	const form = el(
		"form",
		{ className: "card entrance" },
		el("h2", {}, say("welcome")),
		el("label", {}, say("token"), input, el("small", {}, say("tokenNote"))),
		alert,
		el("button", { className: "primary" }, say("enter")),
	);
	form.onsubmit = async (event) => {
		event.preventDefault();
		keepToken(input.value.trim());
		await enter();
	};
	main.replaceChildren(form);
	input.focus();
}

/** Comes in with the token of this tab. */
async function enter() {
	try {
		me = await ask("me");
		draw();
	} catch (error) {
		if (error.status === 401) forgetToken();
		showEntrance(message(error));
	}
}

function leave() {
	me = null;
	forgetToken();
	draw();
}

/** Draws everything that depends on who is here, and where. */
function draw() {
	stop();
	stop = () => {};
	translate();
	if (byId("dialog").open) byId("dialog").close();
	for (const id of ["nav", "who", "log-out"]) byId(id).hidden = !me;
	if (!me) {
		showEntrance();
		return;
	}
	byId("who").firstChild.textContent = me.name;
	byId("read-only").hidden = !me.read_only;
	const [section, id] = location.hash.slice(1).split("/");
	for (const link of byId("nav").children) {
		const current = link.hash === (section.startsWith("player") ? "#players" : "#now");
		link.toggleAttribute("aria-current", current);
		if (current) link.setAttribute("aria-current", "page");
	}
	if (section === "player" && /^\d+$/.test(id)) stop = showPlayer(main, failed, id, me);
	else if (section === "players") stop = showSearch(main, failed);
	else stop = showNow(main, failed);
}

byId("language").onclick = () => {
	changeTongue();
	draw();
};
byId("log-out").onclick = leave;
document.querySelector(".skip").onclick = (event) => {
	event.preventDefault(); // the address names the section
	main.focus();
};
window.onhashchange = draw;
setUpDialog();
translate();
if (token()) await enter();
else draw();
