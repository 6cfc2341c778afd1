/** Builds the parts of the page and ties them together. */

import { Account, askFeatures } from "./account.js";
import { AccountDialog } from "./account_dialog.js";
import { Connection } from "./connection.js";
import { Conversation, readKept } from "./conversation.js";
import { Dialogs } from "./dialogs.js";
import { announce, byId, closeDialog, refuse, setUpDialog, toast, write } from "./dom.js";
import { loadDrawings } from "./drawings.js";
import { Entrance } from "./entrance.js";
import { Game } from "./game.js";
import { Hold } from "./hold.js";
import { Keeping } from "./keeping.js";
import { keysAreOn } from "./keys.js";
import { Kitchen } from "./kitchen.js";
import { Menu } from "./menu.js";
import { readable, span } from "./numbers.js";
import { Played } from "./played.js";
import { apply, price } from "./rules.js";
import { Saving } from "./saving.js";
import { ofTab } from "./storage.js";
import { named, say, spoken, switchLanguage, translate } from "./texts.js";
import { Tutorial } from "./tutorial.js";

/** Where the tab's conversation waits for the next page of the same tab. */
const KEPT = "click-and-cook.conversation";
const TOTALS_AFTER_MS = 2_500;
const MENU_EVERY_MS = 200;
const ASK_OFFER_AGAIN_MS = 5_000;

const account = new Account(() => location.reload());
const kitchen = new Kitchen();
const menu = new Menu(buy);
const tutorial = new Tutorial(menu);
const entrance = new Entrance(account, enter);
const played = new Played();
const dialogs = new Dialogs({ game: view, ask, account: () => accountDialog.open(), playedS: () => played.seconds });
const nameForm = (done) => dialogs.nameForm(done);
const accountDialog = new AccountDialog(account, { game: view, nameForm, leave: logOut, gone: () => leave("deleted") });
const keeping = new Keeping(() => accountDialog.claim());
const hands = { cook: new Hold(byId("cook"), work("cook")), sell: new Hold(byId("sell"), work("sell")) };
/** Who waits for the answer to a request. */
const askers = new WeakMap();

let game = new Game();
let connection = null;
let willShow = false;
let totalsTimer = 0;
let menuTimer = 0;
let menuShownMs = -Infinity;
let menuKey = "";
let saving = new Saving();

/** The game with what is not answered yet. */
function view() {
	return game.expected(connection.conversation.unanswered);
}

/** Draws everything with the browser's next frame. */
function show() {
	if (!willShow) requestAnimationFrame(showNow);
	willShow = true;
}

function showNow() {
	willShow = false;
	if (connection) showLink();
	if (!connection || !game.told) return;
	const now = view();
	kitchen.show(now);
	showMenu(now);
	if (now.email) account.isKnown = true;
	document.querySelector("[data-opens=stars]").classList.toggle("ready", now.accumulated >= 1);
	write(byId("star-count"), now.stars ? readable(Math.floor(now.stars), spoken()) : "");
}

/** The menu changes with each purchase and rank at once, with money and time some times a second. */
function showMenu(now) {
	const key = [now.rank, spoken(), ...[...now.upgrades.values()].map((upgrade) => upgrade.times_bought)].join();
	const waitMs = menuShownMs + MENU_EVERY_MS - performance.now();
	clearTimeout(menuTimer);
	if (key === menuKey && waitMs > 0) {
		menuTimer = setTimeout(show, waitMs);
		return;
	}
	menuKey = key;
	menuShownMs = performance.now();
	menu.show(now);
	tutorial.show(now);
	keeping.show(now);
}

function showLink() {
	const { name, inMs, toResend } = connection.status;
	const link = byId("link");
	write(link.children[1], say(name, toResend ?? span(inMs / 1000, spoken())));
	if (!link.classList.contains(name)) announce(link.children[1].textContent);
	link.className = `playing ${name}`;
	link.lastChild.hidden = inMs < 1500;
	const safe = saving.isSafe(connection.conversation.unanswered.length, Date.now());
	byId("saved").classList.toggle("saving", !safe);
	write(byId("saved").lastChild, say(safe ? "saved" : "saving"));
}

/** Sends a request that changes the game. The element shakes its head where that is refused here. */
function change(element, type, data) {
	const allowed = apply(view(), type, data) !== null;
	const request = allowed && connection.request(type, data);
	if (!request) refuse(element);
	if (allowed && !request) toast(say("waiting"));
	show();
	return request;
}

function work(type) {
	return (x, y) => {
		if (!game.told) return;
		const before = view();
		if (!change(byId(type), type)) return;
		const what = type === "cook" ? "dishes" : "money";
		kitchen.cheer(byId(type), view()[what] - before[what], x, y);
		clearTimeout(totalsTimer);
		const tellTotals = () => announce(say("totals", byId("money").textContent, byId("dishes").textContent));
		totalsTimer = setTimeout(tellTotals, TOTALS_AFTER_MS);
	};
}

function buy(upgrade, item) {
	const { rank, money } = view();
	if (upgrade.access_level > rank) toast(say("upgrade_locked"), "lock");
	else if (price(upgrade) > money) toast(say("not_enough_money"), "coin");
	if (change(item, "upgrade_buy", { id: upgrade.id })) announce(say("bought", named(upgrade.names, upgrade.name)));
}

async function levelUp() {
	if (connection.conversation.awaits("level_up")) return;
	const { data } = await ask("level_up");
	if (data) toast(say("rank", data.current_rank), "star");
}

/** Sends a request; resolves to `{data}` of its answer, or to `{code, message}` of its refusal. */
function ask(type, data) {
	const request = connection.request(type, data);
	return new Promise((resolve) => (request ? askers.set(request, resolve) : resolve({ code: "waiting" })));
}

function heard({ kind, type, data, request }) {
	const tell = askers.get(request);
	if (kind === "refused") tell ? tell(data) : toast(say(type) ?? data.message);
	if (kind !== "answer" && kind !== "told") return;
	if (type === "achievement") {
		for (const { title, titles } of data.achievements) toast(say("medal", named(titles, title)), "staff_quality");
	}
	const { money, dishes } = game.told ?? data;
	game.merge(type, data);
	if (type === "passive") kitchen.glide({ money: data.money - money, dishes: data.dishes - dishes });
	if (request?.seq) saving.changed(game.version, Date.now());
	if (data.saved_version) saving.told(data.saved_version);
	if (data.offline) dialogs.away(data.offline);
	if (game.told?.need === undefined && !connection.conversation.awaits("level_check")) connection.request("level_check");
	tell?.({ data });
	show();
}

function everySecond() {
	if (!connection) return;
	const { joined } = connection.conversation;
	if (joined && saving.asks(Date.now())) connection.request("level_check");
	if (joined && !document.hidden) played.tick(account.userId);
	showLink();
}

function atPlay(plays) {
	byId("entrance").hidden = plays;
	byId("kitchen").hidden = !plays;
	document.body.classList.toggle("at-play", plays);
	scrollTo(0, 0);
	if (plays) byId("kitchen").focus({ preventScroll: true });
}

function enter() {
	game = new Game();
	saving = new Saving();
	// Taken, not copied: a duplicated tab must not go on with the same client.
	const own = readKept(ofTab.get(KEPT), account.userId) ?? { client: newClient() };
	ofTab.remove(KEPT);
	const url = `${location.origin.replace("http", "ws")}/ws`;
	connection = new Connection(url, new Conversation(own), account, { message: heard, state: show, loggedOut: leave });
	connection.start();
	atPlay(true);
}

/** 128 random bits: `crypto.randomUUID` is missing where the page is no secure context. */
const newClient = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** Ends the game in this tab. `why` is the key of a text where the server ended it. */
function leave(why) {
	connection?.stop();
	connection = null;
	account.forget();
	if (why === "deleted") account.isKnown = false;
	closeDialog();
	atPlay(false);
	entrance.show({ mode: why === "deleted" ? entrance.first : "logIn", why });
	entrance.focus();
}

/** Ends the log-in: this one, or `everywhere` each one of the player. */
function logOut(everywhere) {
	account.leave(everywhere);
	leave();
	entrance.show({ mode: entrance.first });
	entrance.focus();
}

/** Asks what the server offers, until it says so. */
async function offer() {
	const features = await askFeatures();
	entrance.offer(features ?? { guests: false, mail: false });
	if (!features) setTimeout(offer, ASK_OFFER_AGAIN_MS);
}

function translateAll() {
	translate();
	write(byId("language"), spoken() === "en" ? "RU" : "EN");
	entrance.show();
	show();
}

const KEYS = { KeyC: "cook", KeyS: "sell" };

addEventListener("keydown", ({ key, code, repeat, target, ctrlKey, metaKey, altKey }) => {
	if (!connection || !keysAreOn() || repeat || ctrlKey || metaKey || altKey || target.closest("input, dialog")) return;
	if (key === "?") dialogs.keysTitle();
	hands[KEYS[code]]?.press(code);
	if (code === "KeyL" && !byId("level-up").hidden) levelUp();
});
addEventListener("keyup", ({ code }) => hands[KEYS[code]]?.release(code));
addEventListener("online", () => connection?.retryNow());
addEventListener("visibilitychange", () => document.hidden || connection?.retryNow());
addEventListener("pagehide", () => {
	if (!connection) return;
	const kept = { ...connection.conversation.kept(), userId: account.userId };
	ofTab.set(KEPT, JSON.stringify(kept));
});
// A page out of the browser's cache would go on with numbers that its successor has used.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
byId("level-up").onclick = levelUp;
byId("link").lastChild.onclick = () => connection.retryNow();
byId("language").onclick = () => {
	switchLanguage();
	translateAll();
};
setInterval(everySecond, 1000);

setUpDialog();
translateAll();
byId("needs").remove();
await loadDrawings().catch(() => toast(say("noDrawings")));

/** What follows `#reset=` in the address: the token of a link for a forgotten password. */
const link = /^#reset=(.+)/.exec(location.hash)?.[1];
// The token is good for the account: it must not stay in the address and the history.
if (link) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => location.hash.startsWith("#reset=") && location.reload());
if (account.userId && !link) {
	enter();
	offer();
} else {
	await offer();
	if (link) entrance.show({ mode: "reset", link });
	atPlay(false);
}
