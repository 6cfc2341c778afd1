/** A player's client: it keeps its connection, its log-in, its state and its unanswered requests. See client.d.ts. */

import { Account, ClickCookError, LoggedOut, Refused, Suspended } from "./account.js";
import { Core, readKept } from "./core.js";

export * from "./account.js";

/** What ended before its answer came. */
export class NotSent extends ClickCookError {}

const KEPT = "click-and-cook.conversation";
const TICK_MS = 5000;
/** A timer this late means that the machine or the page slept. */
const GAP_MS = 5000;
const OPEN = 1;
const NORMAL = 1000;
const GOING_AWAY = 1001;
const NO_CLOSE_FRAME = 1006;

/** Each request type as a method, and what its arguments are called. */
const METHODS = {
	session: [],
	cook: ["count"],
	sell: ["count"],
	upgradeBuy: ["id", "count"],
	upgradeList: [],
	levelCheck: [],
	levelUp: [],
	sessionReset: [],
	passive: [],
	achievements: [],
	leaderboard: ["by"],
	nameSet: ["name"],
};

/** A client of the server at `url`. It plays at once where the store has a log-in. */
export const connect = (url, options) => new Client(url, options);

export class Client {
	#core = null;
	#listeners = new Set();
	/** Calls for which there is no room yet. */
	#waiting = [];
	#socket = null;
	#timer = 0;
	#dueMs = 0;
	#isRunning = false;
	#isClosing = false;
	#unsent = [];
	/** What the listeners know: state and requests, status. */
	#known = "";
	#knownState = null;
	#shown = "";
	/** What this page left for its successor. */
	#left = null;

	constructor(url, { account, store, kept, tab, page = globalThis.document && globalThis, ...options } = {}) {
		const { WebSocket = globalThis.WebSocket, fetch, nowMs = () => performance.now(), wallMs = Date.now, ...rest } = options;
		Object.assign(this, { WebSocket, nowMs, wallMs, tab, page, options: rest });
		this.url = String(url).replace(/\/$/, "");
		this.account = account ?? new Account(this.url, store, { fetch, wallMs });
		if (this.account.userId) this.start(kept);
		const on = (type, act) => page?.addEventListener(type, act, { capture: true });
		for (const type of ["online", "offline"]) on(type, () => this.#network(type));
		for (const type of ["pagehide", "freeze"]) on(type, () => this.#leave());
		for (const type of ["pageshow", "resume"]) on(type, () => this.#return());
		on("visibilitychange", () => page.document.hidden || this.#left !== null || this.retryNow());
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
		if (this.#core) await this.#refresh(this.#core, null);
	}

	async logOut(everywhere) {
		this.stop();
		await this.account.leave(everywhere);
	}

	get state() {
		return this.#core?.state ?? null;
	}

	get optimistic() {
		return this.#core?.optimistic ?? null;
	}

	get unanswered() {
		return this.#waiting.length + (this.#core?.unanswered.length ?? 0);
	}

	get hasRoom() {
		return !this.#isClosing && !this.#waiting.length && (this.#core?.hasRoom() ?? false);
	}

	get status() {
		const { name = "logged_out", reason = null, retryMs } = this.#core?.status ?? {};
		const retryInMs = Math.max(0, (retryMs ?? 0) - this.nowMs());
		return { name, reason, retryInMs, toResend: this.#core?.toResend ?? 0 };
	}

	awaits(type) {
		return this.#core?.awaits(type) ?? false;
	}

	kept() {
		return this.#core && { ...this.#core.kept(), userId: this.account.userId };
	}

	subscribe(listener) {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	retryNow() {
		const { name } = this.status;
		if (name !== "waiting" && name !== "offline") return;
		this.#core.network("online", this.nowMs());
		this.#run();
	}

	request(type, data = {}) {
		const answer = new Promise((resolve, reject) => {
			if (!this.#core) reject(new LoggedOut("not logged in"));
			else if (this.#isClosing) reject(new NotSent(`${type}: closed`, { type, data, seq: null, maybeApplied: false, reason: "closed" }));
			else this.#waiting.push({ type, data, resolve, reject });
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
		let timer;
		await Promise.race([this.drained(), new Promise((resolve) => (timer = setTimeout(resolve, withinMs)))]);
		clearTimeout(timer);
		return this.stop();
	}

	stop() {
		this.#core?.stop();
		this.#run();
		return this.#unsent;
	}

	/** Plays with the log-in that the store has. */
	start(kept = parsed(this.#takeLeft())) {
		this.#begin(kept, null);
	}

	async #enter(path, fields) {
		await this.account.enter(path, fields);
		this.start();
	}

	#begin(kept, state) {
		this.stop();
		this.#unsent = [];
		this.#isClosing = false;
		this.#left = null;
		const { userId } = this.account;
		const client = crypto.getRandomValues(new Uint32Array(4)).join("-");
		this.#core = new Core({ ...this.options, ...(readKept(kept, userId) ?? { client }), state, userId });
		this.#core.start(this.nowMs());
		this.#run();
	}

	/** Does what the core asks for, and tells the listeners. */
	#run() {
		const core = this.#core;
		if (!core || this.#isRunning) return;
		this.#isRunning = true;
		for (;;) {
			for (const item of core.out.splice(0)) this.#do(core, item);
			const isEnded = core.status.name === "ended";
			const [call] = this.#waiting;
			if (!call || !(isEnded || core.hasRoom(call.type))) break;
			this.#waiting.shift();
			if (isEnded) this.#giveUp({ call, ...call, seq: null, maybeApplied: false }, core.status.reason);
			else core.call(call, call.type, call.data, this.nowMs());
		}
		this.#isRunning = false;
		this.#schedule(core);
		const { status } = this;
		const known = [core.seq, this.unanswered].join();
		const shown = [status.name, status.reason, status.toResend].join();
		const isNew = known !== this.#known || core.state !== this.#knownState;
		const isOther = shown !== this.#shown;
		this.#known = known;
		this.#knownState = core.state;
		this.#shown = shown;
		if (isNew) this.#tell({ kind: "changed" });
		if (isOther) this.#tell({ kind: "status", ...status });
	}

	#do(core, { do: what, call, ...fields }) {
		const { data, type } = fields;
		switch (what) {
			case "connect":
				return this.#open(core);
			case "send":
				return this.#write({ message_type: "request", request_id: fields.id, request_type: type, data });
			case "drop":
				return this.#drop();
			case "close":
				return this.#drop(NORMAL);
			case "refresh":
				return void this.#refresh(core, fields.refused);
			case "settle":
				return call?.resolve(data);
			case "refuse":
				call?.reject(new Refused(data.message, { code: data.code, data }));
				return this.#tell({ kind: "refused", type, code: data.code, data });
			case "end":
				for (const each of fields.unsent) this.#giveUp(each, fields.reason);
				return this.#tell({ kind: "ended", reason: fields.reason, unsent: this.#unsent });
			default:
				return this.#tell({ kind: what, ...fields });
		}
	}

	#giveUp({ call, type, data, seq, maybeApplied }, reason) {
		const unsent = { type, data, seq, maybeApplied };
		this.#unsent.push(unsent);
		call?.reject(new NotSent(`${type}: ${reason}`, { ...unsent, reason }));
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

	#open(core) {
		const heard = (act) => (event) => {
			act(event, this.nowMs());
			this.#run();
		};
		const closed = heard(({ code }, nowMs) => {
			this.#drop();
			core.closed(code, nowMs);
		});
		try {
			this.#socket = new this.WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
		} catch {
			return core.closed(NO_CLOSE_FRAME, this.nowMs());
		}
		this.#socket.onopen = heard((_, nowMs) => core.opened(nowMs));
		this.#socket.onmessage = heard(({ data }, nowMs) => core.message(parsed(data) ?? {}, nowMs));
		this.#socket.onclose = closed;
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

	async #refresh(core, refused) {
		try {
			const tokens = await this.account.access(core.token ?? refused);
			if (this.account.userId !== core.userId) throw new LoggedOut("another player");
			core.tokens(tokens, this.nowMs());
		} catch (error) {
			const final = error instanceof LoggedOut || error instanceof Suspended;
			core.noTokens({ final, retryAfterMs: error.retryAfterMs }, this.nowMs());
		}
		this.#run();
	}

	#schedule(core) {
		clearTimeout(this.#timer);
		if (core.status.name === "ended") return;
		const waitMs = Math.min(TICK_MS, Math.max(1, (core.wakeMs ?? Infinity) - this.nowMs()));
		this.#dueMs = this.wallMs() + waitMs;
		this.#timer = setTimeout(() => {
			if (this.wallMs() - this.#dueMs > GAP_MS) return this.#network("resumed");
			core.time(this.nowMs());
			this.#run();
		}, waitMs);
	}

	#network(state) {
		this.#core?.network(this.page?.navigator.onLine === false ? "offline" : state, this.nowMs());
		this.#run();
	}

	/** The page may be frozen or gone from now on: another one in this tab may go on with the conversation. */
	#leave() {
		const { name } = this.status;
		if (this.#left !== null || name === "ended" || name === "logged_out") return;
		this.#left = JSON.stringify(this.kept());
		this.tab?.setItem(KEPT, this.#left);
		this.#core.network("offline", this.nowMs());
		if (this.#socket) {
			this.#drop(NORMAL);
			this.#core.closed(GOING_AWAY, this.nowMs());
		}
		this.#run();
	}

	/** The page is back, from the browser's cache or from being frozen. */
	#return() {
		if (this.#left === null) return;
		const left = this.#left;
		this.#left = null;
		this.account.reload();
		const found = this.#takeLeft();
		// Another page has gone on with these numbers, and sends what was not answered: this one follows it.
		if (this.tab && found !== left) this.#begin(parsed(found), this.state);
		this.#network("resumed");
	}

	/** Taken, not copied: a duplicated tab must not go on with the same client. */
	#takeLeft() {
		const text = this.tab?.getItem(KEPT) ?? null;
		this.tab?.removeItem(KEPT);
		return text;
	}
}

for (const [name, fields] of Object.entries(METHODS)) {
	const type = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
	Client.prototype[name] = function (...values) {
		const given = fields.map((field, i) => [field, values[i]]).filter(([, value]) => value !== undefined);
		return this.request(type, Object.fromEntries(given));
	};
}

function parsed(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
