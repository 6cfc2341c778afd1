/** Builds the parts of the page and ties them together. */

import { connect } from "../../clients/js/lib/click-and-cook.js";
import { Account } from "./account.js";
import { AccountDialog } from "./account_dialog.js";
import { advise, Pace } from "./advice.js";
import { Dialogs } from "./dialogs.js";
import { announce, byId, closeDialog, refuse, setUpDialog, toast, write } from "./dom.js";
import { loadDrawings } from "./drawings.js";
import { Entrance } from "./entrance.js";
import { Golden } from "./golden.js";
import { sound } from "./hearing.js";
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

const TOTALS_AFTER_MS = 2_500;
const MENU_EVERY_MS = 200;

const account = new Account(() => location.reload());
const kitchen = new Kitchen();
const menu = new Menu(buy);
const tutorial = new Tutorial(menu);
const entrance = new Entrance(account, enter);
const played = new Played();
const dialogs = new Dialogs({ game: view, ask, account: () => accountDialog.open(), playedS: () => played.seconds });
const nameForm = (done) => dialogs.nameForm(done);
const accountDialog = new AccountDialog(account, { game: view, nameForm, leave: logOut, gone: () => leave("deleted") });
const golden = new Golden({ ask, cheer: (button, gain) => kitchen.cheer(button, gain) });
const keeping = new Keeping(() => accountDialog.claim());
const hands = { cook: new Hold(byId("cook"), work("cook")), sell: new Hold(byId("sell"), work("sell")) };

/** The client library's client, and whether it plays. */
let client = null;
let plays = false;
/** The amounts before the newest message. */
let before = null;
let willShow = false;
let totalsTimer = 0;
let menuTimer = 0;
let menuShownMs = -Infinity;
let menuKey = "";
let saving = new Saving();
let pace = new Pace();

/** The game with what is not answered yet. */
function view() {
	return client.optimistic;
}

/** Draws everything with the browser's next frame. */
function show() {
	if (!willShow) requestAnimationFrame(showNow);
	willShow = true;
}

function showNow() {
	willShow = false;
	if (plays) showLink();
	if (!plays || !client.state) return;
	const now = view();
	byId("kitchen").classList.remove("empty");
	kitchen.show(now);
	showMenu(now);
	if (now.email) account.isKnown = true;
	showStars(now);
}

function showStars({ stars, accumulated }) {
	const button = document.querySelector("[data-opens=stars]");
	const count = stars ? readable(Math.floor(stars), spoken()) : "";
	button.classList.toggle("ready", accumulated >= 1);
	write(byId("star-count"), count);
	// A name in place of the content: the count belongs to it.
	const name = `${say("stars")} ${count}`.trim();
	if (button.ariaLabel !== name) button.ariaLabel = name;
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
	const advice = advise(now, pace.perS(menuShownMs));
	menu.show(now, advice);
	tutorial.show(now, advice);
	keeping.show(now);
}

function showLink() {
	const { retryInMs: inMs, toResend, ...status } = client.status;
	const name = linkName(status, inMs, toResend);
	const link = byId("link");
	write(link.children[1], say(name, toResend || span(inMs / 1000, spoken())));
	if (!link.classList.contains(name)) announce(link.children[1].textContent);
	link.className = `playing ${name}`;
	link.lastChild.hidden = inMs < 1500 && name !== "offline";
	const safe = saving.isSafe(client.unanswered, Date.now());
	byId("saved").classList.toggle("saving", !safe);
	write(byId("saved").lastChild, say(safe ? "saved" : "saving"));
}

/** The key of the text about the connection. */
function linkName({ name, reason }, inMs, toResend) {
	if (name === "joined") return toResend ? "resending" : "connected";
	if (name === "ended") return "outdated";
	if (name === "offline") return "offline";
	if (name !== "waiting" || !inMs) return "connecting";
	return reason === "crowded" ? "crowded" : "reconnecting";
}

/** The money in the tab's title, for those who look at another. */
function showTitle() {
	const title = `${readable(Math.floor(view().money), spoken())} · Click & Cook`;
	if (document.title !== title) document.title = title;
}

/** Sends a request that changes the game. The element shakes its head where that is refused here. */
function change(element, type, data) {
	const allowed = apply(view(), type, data) !== null;
	const sent = allowed && client.hasRoom;
	if (sent) client.request(type, data).then(changed, refused);
	else {
		refuse(element);
		sound("refused");
	}
	if (allowed && !sent) toast(say("waiting"));
	show();
	return sent;
}

/** The player's change is made: from now on its safety is of interest. */
function changed() {
	saving.changed(client.state.version, Date.now());
	show();
}

function refused({ code, message }) {
	if (code) toast(say(code) ?? message);
}

function work(type) {
	return (x, y) => {
		if (!client.state) return;
		const what = type === "cook" ? "dishes" : "money";
		const had = view()[what];
		if (!change(byId(type), type)) return;
		pace.count(performance.now());
		sound(type);
		kitchen.cheer(byId(type), view()[what] - had, x, y);
		clearTimeout(totalsTimer);
		const tellTotals = () => announce(say("totals", byId("money").textContent, byId("dishes").textContent));
		totalsTimer = setTimeout(tellTotals, TOTALS_AFTER_MS);
	};
}

function buy(upgrade, item, count) {
	const { rank, money } = view();
	if (upgrade.access_level > rank) toast(say("upgrade_locked"), "lock");
	else if (price(upgrade) > money) toast(say("not_enough_money"), "coin");
	if (!change(item, "upgrade_buy", count > 1 ? { id: upgrade.id, count } : { id: upgrade.id })) return;
	announce(say("bought", named(upgrade.names, upgrade.name)));
	sound("buy");
}

async function levelUp() {
	if (client.awaits("level_up")) return;
	const { data } = await ask("level_up");
	if (!data) return;
	toast(say("rank", data.current_rank), "star");
	sound("rank");
}

/** Sends a request; resolves to `{data}` of its answer, or to `{code, message}` of its refusal. */
async function ask(type, data) {
	try {
		const answer = { data: await client.request(type, data) };
		if (type === "level_up" || type === "session_reset" || data?.serve) changed();
		return answer;
	} catch ({ code = "waiting", message }) {
		return { code, message };
	}
}

/** Takes an event of the client. */
function heard({ kind, type, data, reason }) {
	if (kind === "ended" && (reason === "revoked" || reason === "logged_out")) return leave(reason);
	if (kind === "push" && type === "achievement") {
		for (const { title, titles } of data.achievements) toast(say("medal", named(titles, title)), "staff_quality");
		sound("medal");
	}
	if (kind === "push" && type === "passive" && before) {
		const money = data.money - before.money;
		kitchen.glide({ money, dishes: data.dishes - before.dishes });
		golden.came(money, client.state);
	}
	if (kind === "joined") golden.forget();
	if (kind === "joined" && data.offline) dialogs.away(data.offline);
	if (data?.saved_version) saving.told(data.saved_version);
	if (kind === "changed") askNeed();
	before = client.state;
	show();
}

/** Asks for the xp of the next rank where it is not known. */
function askNeed() {
	const isUnknown = client.state && client.state.need === undefined;
	if (isUnknown && client.status.name === "joined" && client.hasRoom && !client.awaits("level_check")) checkLevel();
}

/** Asks for the rank, and for what is saved. */
async function checkLevel() {
	const { data } = await ask("level_check");
	if (data) saving.told(data.saved_version);
}

function everySecond() {
	if (!plays) return;
	const isJoined = client.status.name === "joined";
	if (isJoined && saving.asks(Date.now())) checkLevel();
	if (isJoined && !document.hidden) played.tick(account.userId);
	if (isJoined) golden.tick(client.state);
	if (client.state) showTitle();
	showLink();
	// The advice changes while the hands rest.
	show();
}

function atPlay(now) {
	plays = now;
	document.documentElement.classList.remove("waits", "returns");
	byId("entrance").hidden = plays;
	byId("kitchen").hidden = !plays;
	document.body.classList.toggle("at-play", plays);
	document.title = "Click & Cook";
	scrollTo(0, 0);
	if (plays) byId("kitchen").focus({ preventScroll: true });
}

function enter() {
	before = null;
	saving = new Saving();
	pace = new Pace();
	if (client) client.start();
	else {
		client = connect(location.origin, { account: account.logIn, tab: ofTab });
		client.subscribe(heard);
	}
	byId("kitchen").classList.add("empty");
	atPlay(true);
	show();
}

/** Ends the game in this tab. `why` is the reason where the server ended it. */
function leave(why) {
	const { userId } = client?.state ?? {};
	client?.stop();
	// Another tab may have logged in as somebody else.
	if (!userId || account.userId === String(userId)) account.forget();
	if (why === "deleted") account.isKnown = false;
	closeDialog();
	atPlay(false);
	entrance.show({ mode: why === "deleted" ? entrance.first : "logIn", why });
	entrance.focus();
}

/** Ends the log-in: this one, or `everywhere` each one of the player. */
function logOut(everywhere) {
	client.logOut(everywhere);
	leave();
	entrance.show({ mode: entrance.first });
	entrance.focus();
}

function translateAll() {
	translate();
	write(byId("language"), spoken() === "en" ? "RU" : "EN");
	entrance.show();
	show();
}

const KEYS = { KeyC: "cook", KeyS: "sell" };

addEventListener("keydown", ({ key, code, repeat, target, ctrlKey, metaKey, altKey }) => {
	if (!plays || !keysAreOn() || repeat || ctrlKey || metaKey || altKey || target.closest("input, dialog")) return;
	if (key === "?") dialogs.keysTitle();
	hands[KEYS[code]]?.press(code);
	if (code === "KeyL" && !byId("level-up").hidden) levelUp();
});
addEventListener("keyup", ({ code }) => hands[KEYS[code]]?.release(code));
byId("level-up").onclick = levelUp;
byId("link").lastChild.onclick = () => client.retryNow();
byId("language").onclick = () => {
	switchLanguage();
	translateAll();
};
setInterval(everySecond, 1000);

setUpDialog();
translateAll();
byId("needs").remove();
const drawn = loadDrawings().catch(() => toast(say("noDrawings")));

/** What follows `#reset=` in the address: the token of a link for a forgotten password. */
const link = /^#reset=(.+)/.exec(location.hash)?.[1];
// The token is good for the account: it must not stay in the address and the history.
if (link) history.replaceState(null, "", location.pathname);
addEventListener("hashchange", () => location.hash.startsWith("#reset=") && location.reload());
if (account.userId && !link) {
	await drawn;
	enter();
} else {
	if (link) entrance.show({ mode: "reset", link });
	atPlay(false);
	entrance.catchUp();
}
