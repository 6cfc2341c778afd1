/** A player's client: it keeps its connection, its log-in, its state and its unanswered requests. See client.d.ts. */

import { Account, LoggedOut, NotSent, parsed, Refused, Suspended } from "./account.js";
import { Core, readKept } from "./core.js";

export * from "./account.js";

const KEPT = "click-and-cook.conversation";
const TICK_MS = 5000;
/** A timer this late means that the machine or the page slept. */
const GAP_MS = 5000;
const OPEN = 1;
const NORMAL = 1000;
const GOING_AWAY = 1001;

/** The request types, and what their arguments are called: `upgradeBuy(id, count)` sends an `upgrade_buy`. */
const REQUESTS = [
	...["session", "cook count", "sell count", "upgrade_buy id count", "upgrade_list", "level_check", "level_up"],
	...["session_reset", "passive", "achievements", "leaderboard by", "name_set name", "golden_guest serve"],
];

export const connect = (url, options) => new Client(url, options);

export class Client {
	#core = new Core();
	#listeners = new Set();
	/** Requests for which there is no room yet. */
	#waiting = [];
	#socket = null;
	#timer = 0;
	#isRunning = false;
	#isClosing = false;
	#unsent = [];
	/** What the listeners know, by kind of event. */
	#told = {};
	/** What this page left for its successor. */
	#left = null;

	constructor(url, options = {}) {
		const { account, store, kept, tab, page = globalThis.document && globalThis, WebSocket = globalThis.WebSocket, ...habits } = options;
		this.url = String(url).replace(/\/$/, "");
		Object.assign(this, { account: account ?? new Account(this.url, store), WebSocket, tab, page, habits });
		if (this.account.userId) this.start(kept);
		const on = (types, act) => types.forEach((type) => page?.addEventListener(type, () => act(type), { capture: true }));
		on(["online", "offline"], (type) => this.#network(type));
		on(["pagehide", "freeze"], () => this.#leave());
		on(["pageshow", "resume"], () => this.#return());
		on(["visibilitychange"], () => page.document.hidden || this.#left !== null || this.retryNow());
	}

	guest() {
		return this.#enter("/guest");
	}

	register(email, password) {
		return this.#enter("/reg", { email, password });
	}

	logIn(email, password) {
		return this.#enter("/auth", { email, password });
	}

	async claim(email, password) {
		await this.account.change("/claim", { email, password });
		await this.#refresh();
	}

	async logOut(everywhere) {
		this.stop();
		await this.account.leave(everywhere);
	}

	get state() {
		return this.#core.state;
	}

	get optimistic() {
		return this.#core.optimistic;
	}

	get unanswered() {
		return this.#waiting.length + this.#core.unanswered.length;
	}

	get hasRoom() {
		return !this.#isClosing && !this.#isOver && !this.#waiting.length && this.#core.hasRoom();
	}

	get status() {
		const { status, toResend } = this.#core;
		const { name, reason, retryMs } = status;
		return { name, reason, retryInMs: Math.max(0, retryMs - performance.now()), toResend };
	}

	awaits(type) {
		return this.#core.awaits(type);
	}

	kept() {
		return this.#core.userId ? this.#core.kept() : null;
	}

	subscribe(listener) {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	retryNow() {
		if (["waiting", "offline"].includes(this.status.name)) this.#take("network", { is: "online" });
	}

	request(type, data = {}) {
		const { name, reason } = this.status;
		const answer = new Promise((resolve, reject) => {
			const call = { type, data, seq: null, maybeApplied: false, call: { resolve, reject } };
			if (name === "logged_out") reject(new LoggedOut("not logged in"));
			else if (name === "ended" || this.#isClosing) this.#giveUp(call, this.#isClosing ? "closed" : reason);
			else this.#waiting.push(call);
		});
		// What nobody awaits is an event all the same; it must not end the process.
		answer.catch(() => {});
		this.#run();
		return answer;
	}

	drained() {
		return new Promise((resolve) => {
			const check = () => this.unanswered || resolve(end());
			const end = this.subscribe(check);
			check();
		});
	}

	async close(withinMs = 5000) {
		this.#isClosing = true;
		const timer = setTimeout(() => this.stop(), withinMs);
		await this.drained();
		clearTimeout(timer);
		return this.stop();
	}

	stop() {
		this.#take("stop");
		return this.#unsent;
	}

	start(kept = parsed(this.#takeLeft()), state = null) {
		this.stop();
		this.#unsent = [];
		this.#isClosing = false;
		this.#left = null;
		const { userId } = this.account;
		const client = crypto.getRandomValues(new Uint32Array(4)).join("-");
		this.#core = new Core({ ...this.habits, client, ...readKept(kept, userId), state, userId });
		this.#take("start");
	}

	/** Whether nobody plays, or no more. */
	get #isOver() {
		return ["logged_out", "ended"].includes(this.status.name);
	}

	async #enter(path, fields) {
		await this.account.enter(path, fields);
		this.start();
	}

	#take(input, fields) {
		this.#core.take(input, performance.now(), fields);
		this.#run();
	}

	/** Does what the core asks for, and tells the listeners. */
	#run() {
		if (this.#isRunning) return;
		this.#isRunning = true;
		while (this.#core.out.length || this.#admit()) for (const item of this.#core.out.splice(0)) this.#do(item);
		this.#isRunning = false;
		this.#schedule();
		this.#tellNews("changed", [this.state, this.#core.seq, this.unanswered]);
		const { status } = this;
		this.#tellNews("status", [status.name, status.reason, status.toResend], status);
	}

	/** Gives the core the next request, where there is room. */
	#admit() {
		const [call] = this.#waiting;
		if (!call || !this.#core.hasRoom(call.type)) return false;
		this.#take("call", this.#waiting.shift());
		return true;
	}

	#do({ do: what, call, ...fields }) {
		const { data, type, reason } = fields;
		switch (what) {
			case "connect":
				return this.#open();
			case "send":
				return this.#write({ message_type: "request", request_id: fields.id, request_type: type, data });
			case "drop":
				return this.#drop();
			case "close":
				return this.#drop(NORMAL);
			case "refresh":
				return void this.#refresh(fields.refused);
			case "settle":
				return call?.resolve(data);
			case "refuse":
				call?.reject(new Refused(data.message, fields));
				return this.#tell({ kind: "refused", ...fields });
			case "end":
				for (const each of [...fields.unsent, ...this.#waiting.splice(0)]) this.#giveUp(each, reason);
				return this.#tell({ kind: "ended", reason, unsent: this.#unsent });
			default:
				return this.#tell({ kind: what, ...fields });
		}
	}

	#giveUp({ call, ...unsent }, reason) {
		this.#unsent.push(unsent);
		call?.reject(new NotSent(`${unsent.type}: ${reason}`, { ...unsent, reason }));
	}

	#tellNews(kind, facts, fields) {
		if (facts.every((fact, i) => fact === this.#told[kind]?.[i])) return;
		this.#told[kind] = facts;
		this.#tell({ kind, ...fields });
	}

	#tell(event) {
		for (const listener of this.#listeners) {
			try {
				listener(event);
			} catch (error) {
				// The listener's own fault: said where nobody handles it, and the client goes on.
				Promise.reject(error);
			}
		}
	}

	#open() {
		try {
			this.#socket = new this.WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
		} catch {
			return this.#take("closed", {});
		}
		this.#socket.onopen = () => this.#take("opened");
		this.#socket.onmessage = ({ data }) => this.#take("message", { message: parsed(data) ?? {} });
		this.#socket.onclose = ({ code }) => {
			this.#drop();
			this.#take("closed", { code });
		};
		this.#socket.onerror = () => {};
	}

	/** Nothing is written to a socket that is closing: its end will have the request sent again. */
	#write(message) {
		if (!(this.#socket.readyState > OPEN)) this.#socket.send(JSON.stringify(message));
	}

	#drop(code) {
		const socket = this.#socket;
		this.#socket = null;
		if (!socket) return;
		socket.onopen = socket.onmessage = socket.onclose = null;
		if (!code && socket.terminate) socket.terminate();
		else socket.close(code);
	}

	async #refresh(refused) {
		const core = this.#core;
		try {
			const tokens = await this.account.access(core.token ?? refused);
			if (this.account.userId !== core.userId) throw new LoggedOut("another player");
			core.take("tokens", performance.now(), tokens);
		} catch (error) {
			const final = error instanceof LoggedOut || error instanceof Suspended;
			core.take("noTokens", performance.now(), { final, retryAfterMs: error.retryAfterMs });
		}
		this.#run();
	}

	#schedule() {
		clearTimeout(this.#timer);
		if (this.#isOver) return;
		const waitMs = Math.min(TICK_MS, Math.max(1, this.#core.wakeMs - performance.now()));
		const dueMs = Date.now() + waitMs;
		this.#timer = setTimeout(() => {
			if (Date.now() - dueMs > GAP_MS) this.#network("resumed");
			else this.#take("time");
		}, waitMs);
	}

	#network(is) {
		this.#take("network", { is: this.page?.navigator.onLine === false ? "offline" : is });
	}

	/** The page may be frozen or gone from now on: another one in this tab may go on with the conversation. */
	#leave() {
		if (this.#left !== null || this.#isOver) return;
		this.#left = JSON.stringify(this.kept());
		this.tab?.setItem(KEPT, this.#left);
		this.#take("network", { is: "offline" });
		this.#drop(NORMAL);
		this.#take("closed", { code: GOING_AWAY });
	}

	/** The page is back, from the browser's cache or from being frozen. */
	#return() {
		if (this.#left === null) return;
		const left = this.#left;
		this.#left = null;
		this.account.reload();
		const found = this.#takeLeft();
		// Another page has gone on with these numbers, and sends what was not answered: this one follows it.
		if (this.tab && found !== left) this.start(parsed(found), this.state);
		this.#network("resumed");
	}

	/** Taken, not copied: a duplicated tab must not go on with the same client. */
	#takeLeft() {
		const text = this.tab?.getItem(KEPT) ?? null;
		this.tab?.removeItem(KEPT);
		return text;
	}
}

for (const [type, ...fields] of REQUESTS.map((each) => each.split(" "))) {
	Client.prototype[type.replace(/_./, ([, letter]) => letter.toUpperCase())] = function (...values) {
		const given = fields.map((field, i) => [field, values[i]]).filter(([, value]) => value !== undefined);
		return this.request(type, Object.fromEntries(given));
	};
}
