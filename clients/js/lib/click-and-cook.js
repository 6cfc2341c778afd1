// Made by `python -m scripts.describe` from clients/js/src, where the comments are.

const KEPT = "click-and-cook.conversation";
const TICK_MS = 5000;
const GAP_MS = 5000;
const OPEN = 1;
const NORMAL = 1000;
const GOING_AWAY = 1001;

const REQUESTS = [
	...["session", "cook count", "sell count", "upgrade_buy id count", "upgrade_list", "level_check", "level_up"],
	...["session_reset", "passive", "achievements", "leaderboard by", "name_set name", "golden_guest serve"],
];

export const connect = (url, options) => new Client(url, options);

export class Client {
	#core = new Core();
	#listeners = new Set();
	#waiting = [];
	#socket = null;
	#timer = 0;
	#isRunning = false;
	#isClosing = false;
	#unsent = [];
	#told = {};
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

	#leave() {
		if (this.#left !== null || this.#isOver) return;
		this.#left = JSON.stringify(this.kept());
		this.tab?.setItem(KEPT, this.#left);
		this.#take("network", { is: "offline" });
		this.#drop(NORMAL);
		this.#take("closed", { code: GOING_AWAY });
	}

	#return() {
		if (this.#left === null) return;
		const left = this.#left;
		this.#left = null;
		this.account.reload();
		const found = this.#takeLeft();
		if (this.tab && found !== left) this.start(parsed(found), this.state);
		this.#network("resumed");
	}

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

export class ClickCookError extends Error {
	constructor(message, fields) {
		super(message);
		Object.assign(this, { name: this.constructor.name, retryable: false }, fields);
	}
}
export class Refused extends ClickCookError {}
export class NotSent extends ClickCookError {}
export class AccountRefused extends ClickCookError {}
export class Suspended extends AccountRefused {}
export class LoggedOut extends ClickCookError {}
export class Unreachable extends ClickCookError {}

const ANSWER_WITHIN_MS = 15_000;
const SUSPENDED = 10;

export class MemoryStore {
	#pair = null;
	load() {
		return this.#pair;
	}
	save(pair) {
		this.#pair = pair;
	}
	clear() {
		this.#pair = null;
	}
}

export class WebStore {
	constructor(storage = localStorage, key = "click-and-cook.tokens") {
		Object.assign(this, { storage, key, mark: `${key}.changing` });
	}
	load() {
		return parsed(this.storage.getItem(this.key));
	}
	save(pair) {
		this.storage.setItem(this.key, JSON.stringify(pair));
	}
	clear() {
		this.storage.removeItem(this.key);
	}
	async alone(act, changing) {
		const marked = async () => {
			if (changing) this.storage.setItem(this.mark, String(Date.now()));
			try {
				return await act();
			} finally {
				if (changing) this.storage.removeItem(this.mark);
			}
		};
		return navigator.locks ? navigator.locks.request(this.key, marked) : marked();
	}
	async replaced(refresh, looks = 50) {
		while (looks-- && !navigator.locks && this.load()?.refresh === refresh) await new Promise((resolve) => setTimeout(resolve, 100));
	}
	get busy() {
		const ageMs = Date.now() - this.storage.getItem(this.mark);
		return ageMs >= 0 && ageMs < 20_000;
	}
}

export class Account {
	#pair = null;

	constructor(url, store = new MemoryStore()) {
		Object.assign(this, { url, store });
		this.reload();
	}

	reload() {
		const pair = this.store.load();
		const { id } = claims(pair?.access);
		this.#pair = /^\d+$/.test(id) && typeof pair.refresh === "string" ? pair : null;
	}

	get userId() {
		return claims(this.#pair?.access).id;
	}

	async enter(path, fields) {
		this.#keep(await this.send("POST", path, null, fields));
	}

	change(path, fields) {
		return this.#alone(async () => this.#keep(await this.#asMyself("POST", path, fields)), true);
	}

	ask(method, path, fields) {
		return this.#alone(() => this.#asMyself(method, path, fields));
	}

	async access(unwanted) {
		if (!this.#isGood(unwanted)) await this.#alone(() => this.#renewed(unwanted));
		const { access, sinceMs } = this.#pair;
		return { access, lifeMs: lifeMs(access), ageMs: Date.now() - sinceMs };
	}

	async leave(everywhere) {
		const refresh = this.#pair?.refresh;
		this.forget();
		if (refresh) await this.send("POST", everywhere ? "/logout/everywhere" : "/logout", refresh).catch(() => {});
	}

	forget() {
		this.#pair = null;
		this.store.clear();
	}

	async send(method, path, bearer, fields = {}) {
		const headers = { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) };
		const body = method === "GET" ? undefined : JSON.stringify(fields);
		let response, answer;
		try {
			response = await fetch(this.url + path, { method, headers, body, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
			answer = await response.json();
		} catch (cause) {
			throw new Unreachable(`${path}: no answer`, { retryable: true, cause });
		}
		const { ok, status: httpStatus } = response;
		if (ok) return answer;
		const retryAfterMs = 1000 * response.headers.get("Retry-After") || 0;
		const Refusal = answer.status === SUSPENDED ? Suspended : AccountRefused;
		throw new Refusal(answer.message, { ...answer, httpStatus, retryAfterMs, retryable: httpStatus === 429 || httpStatus >= 500 });
	}

	#alone(act, changing) {
		return this.store.alone?.(act, changing) ?? act();
	}

	async #asMyself(method, path, fields) {
		const access = await this.#renewed(null, true);
		return this.send(method, path, access, fields).catch(async (error) => {
			if (error.httpStatus !== 401 || error.message !== "token invalid") throw error;
			return this.send(method, path, await this.#renewed(access, true), fields);
		});
	}

	async #renewed(unwanted, changing) {
		this.reload();
		const { access, refresh } = this.#pair ?? {};
		if (this.#isGood(unwanted)) return access;
		try {
			if (!refresh) throw new LoggedOut("logged out");
			this.#keep(await this.send("POST", "/refresh", refresh));
		} catch (error) {
			if (error.httpStatus !== 401 && !(error instanceof Suspended)) throw error;
			if (changing) await this.store.replaced?.(refresh);
			this.reload();
			if (this.#pair && this.#pair.refresh !== refresh) return this.#pair.access;
			if (!changing && this.store.busy) throw new Unreachable("another tab will keep the new pair", { retryable: true });
			this.forget();
			throw error instanceof Suspended ? error : new LoggedOut(error.message, { cause: error });
		}
		return this.#pair.access;
	}

	#keep({ tokens: { access_token: access, refresh_token: refresh } }) {
		this.#pair = { access, refresh, sinceMs: Date.now() };
		this.store.save(this.#pair);
	}

	#isGood(unwanted) {
		const { access, sinceMs } = this.#pair ?? {};
		const ageMs = Date.now() - sinceMs;
		return access !== unwanted && ageMs >= 0 && ageMs <= lifeMs(access) * RENEW_AFTER;
	}
}

const claims = (token) => parsed(attempt(() => atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))) ?? {};

const lifeMs = (access) => (claims(access).exp - claims(access).iat) * 1000;

export const parsed = (text) => attempt(() => JSON.parse(text));

export const SEQ_WINDOW = 64;
export const RENEW_AFTER = 0.7;
const PAUSE_MS = 250;
const TRIES = 3;
const COUNTED = new Set(["cook", "sell", "upgrade_buy", "level_up", "session_reset"]);
const FAULT = "client_fault";
const REASONS = {
	...{ 1001: "going_away", 1002: FAULT, 1003: FAULT, 1007: FAULT, 1008: "policy", 1009: FAULT, 1013: "too_busy" },
	...{ 4000: "slow_reader", 4001: "revoked", 4002: "crowded" },
};
const PACE = { too_busy: 4, going_away: 0.6 };

export function attempt(act) {
	try {
		return act();
	} catch {
		return null;
	}
}

export function readKept(kept, userId) {
	return attempt(() => {
		const { client, seq, waiting } = kept;
		let last = 0;
		const isWhole = ({ type, data, seq: own }) => {
			const isNext = COUNTED.has(type) && own > last && own <= seq && (type !== "upgrade_buy" || data.id);
			last = own;
			return isNext && [own, ...Object.values(data)].every(Number.isSafeInteger);
		};
		const fits = kept.userId === userId && client.trim() && client.length <= 64 && Number.isSafeInteger(seq);
		return fits && waiting.length <= SEQ_WINDOW && waiting.every(isWhole) ? { client, seq, waiting } : null;
	});
}

export class Core {
	out = [];
	state = null;
	token = null;
	mostUnanswered = SEQ_WINDOW;
	retryFirstMs = 500;
	retryMostMs = 15_000;
	crowdedMs = 20_000;
	stableMs = 5000;
	answerTimeoutMs = 10_000;
	probeAfterMs = 25_000;
	probeTimeoutMs = 3000;
	renewAgainMs = 2000;
	random = Math.random;

	#queue;
	#phase = "logged_out";
	#reason = null;
	#isOffline = false;
	#attempt = 0;
	#nowMs = 0;
	#retryMs = 0;
	#openedMs = 0;
	#heardMs = 0;
	#hearByMs = 0;
	#notBeforeMs = 0;
	#refreshMs = 0;
	#refusedToken = null;
	#refusedTokens = 0;
	#policyCloses = 0;
	#appliedSeq = 0;
	#lastId = 0;

	constructor({ seq = 0, waiting = [], ...options } = {}) {
		Object.assign(this, options, { seq });
		this.#queue = waiting.map((entry) => ({ ...entry, call: null, id: null, again: true, lost: true }));
	}

	take(input, nowMs, fields) {
		this.#nowMs = nowMs;
		this[input]?.(fields);
		for (const [atMs, act] of this.#plans) if (nowMs >= atMs) act.call(this);
		this.#write();
	}

	kept() {
		const { client, seq, userId } = this;
		return { client, seq, userId, waiting: this.#counted.map(({ type, data, seq }) => ({ type, data, seq })) };
	}

	get unanswered() {
		return this.#owned.filter(({ applied }) => !applied);
	}

	get toResend() {
		return this.#counted.filter(({ again }) => again).length;
	}

	get optimistic() {
		return this.state && this.unanswered.reduce((game, { type, data }) => apply(game, type, data) ?? game, this.state);
	}

	get status() {
		let name = this.#is("open") ? "connecting" : this.#phase;
		if (name === "waiting" && this.#isOffline) name = "offline";
		else if (name === "waiting" && this.#reason === null) name = "connecting";
		const isWaiting = name === "waiting";
		return { name, reason: isWaiting || name === "ended" ? this.#reason : null, retryMs: isWaiting ? this.#retryMs : null };
	}

	hasRoom(type = "cook") {
		const [oldest] = this.#counted;
		const fits = !COUNTED.has(type) || !oldest || this.seq + 1 - oldest.seq < SEQ_WINDOW;
		return fits && !this.#is("ended") && this.#owned.length < this.mostUnanswered;
	}

	awaits(type) {
		return this.#queue.some((entry) => entry.type === type);
	}

	get wakeMs() {
		return Math.min(...this.#plans.map(([atMs]) => atMs));
	}

	start() {
		this.#phase = "waiting";
	}

	tokens({ access, lifeMs, ageMs = 0 }) {
		this.token = access;
		this.#refusedToken = null;
		this.#refreshMs = this.#nowMs - ageMs + RENEW_AFTER * lifeMs;
	}

	noTokens({ final, retryAfterMs = 0 }) {
		this.#refreshMs = this.#after(Math.max(this.renewAgainMs, retryAfterMs));
		if (final) this.#end(this.#reason === "revoked" ? "revoked" : "logged_out");
	}

	opened() {
		if (!this.#is("connecting")) return;
		this.#phase = "open";
		this.#openedMs = this.#nowMs;
		this.#notBeforeMs = 0;
		this.#hear();
		this.#ask("session");
	}

	closed({ code }) {
		if (!this.#is("connecting", "open", "joined")) return;
		const reason = REASONS[code] ?? "broken";
		if (!this.#is("connecting") && this.#nowMs - this.#openedMs >= this.stableMs) this.#attempt = 0;
		for (const entry of this.#queue) {
			entry.lost ||= entry.id !== null;
			this.#sendAgain(entry);
		}
		this.#queue = this.#owned;
		this.#phase = "waiting";
		this.#reason = reason;
		if (reason === "slow_reader") this.mostUnanswered = Math.max(1, this.mostUnanswered >> 1);
		if (reason === "revoked") this.#refuseToken();
		if (reason === FAULT || (reason === "policy" && ++this.#policyCloses === TRIES)) this.#end(reason);
		const waitMs = Math.min(this.retryFirstMs * (PACE[reason] ?? 1) * 2 ** this.#attempt++, this.retryMostMs);
		const isCrowded = reason === "crowded";
		this.#retryMs = this.#nowMs + (isCrowded ? this.crowdedMs * (1 + this.random()) : waitMs * (0.3 + 0.7 * this.random()));
	}

	message({ message: { request_id: id, request_type: type, data } }) {
		if (!this.#is("open", "joined")) return;
		this.#hear();
		const entry = this.#queue.find((each) => each.id === id);
		if (entry && type === "error") this.#refused(entry, data);
		else if (entry) this.#answered(entry, data);
		else if (id === "" && type !== "error") {
			this.state = merge(this.state, type, data);
			this.#do("push", { type, data });
		}
	}

	call({ call, type, data = {} }) {
		if (!this.hasRoom(type)) return this.#do("full", { call });
		this.#queue.push({ type, data, seq: COUNTED.has(type) ? ++this.seq : null, call, id: null });
	}

	network({ is }) {
		this.#isOffline = is === "offline";
		if (this.#isOffline) return;
		if (this.#is("waiting")) this.#attempt = this.#retryMs = 0;
		if (this.#is("open", "joined")) {
			this.#probe();
			this.#write();
			this.#hearByMs = this.#nowMs + this.probeTimeoutMs;
		}
	}

	stop() {
		this.#end("stopped");
	}

	get #plans() {
		if (this.#is("logged_out", "ended")) return [];
		const plans = [[this.#refreshMs, this.#refresh]];
		const isOwed = this.#isInFlight || this.#is("connecting");
		if (isOwed) plans.push([this.#hearByMs, this.#giveUp]);
		else if (this.#is("joined")) plans.push([this.#heardMs + this.probeAfterMs, this.#probe]);
		if (this.token === null) return plans;
		if (this.#is("waiting") && !this.#isOffline) plans.push([this.#retryMs, this.#connect]);
		if (this.#is("open", "joined") && !isOwed && this.#queue.length) plans.push([this.#notBeforeMs, this.#write]);
		return plans;
	}

	#refresh() {
		this.#refreshMs = Infinity;
		this.#do("refresh", { refused: this.#refusedToken });
	}

	#giveUp() {
		this.#do("drop");
		this.closed({});
	}

	#connect() {
		this.#phase = "connecting";
		this.#hear();
		this.#do("connect");
	}

	#is(...phases) {
		return phases.includes(this.#phase);
	}

	get #isInFlight() {
		return this.#queue.some(({ id }) => id !== null);
	}

	get #counted() {
		return this.#queue.filter(({ seq }) => seq > 0);
	}

	get #owned() {
		return this.#queue.filter(({ call }) => call !== undefined);
	}

	#do(what, fields) {
		this.out.push({ do: what, ...fields });
	}

	#after(waitMs) {
		return this.#nowMs + waitMs * (1 + 0.2 * this.random());
	}

	#hear() {
		this.#heardMs = this.#nowMs;
		this.#hearByMs = this.#nowMs + this.answerTimeoutMs;
	}

	#ask(type) {
		this.#queue[type === "session" ? "unshift" : "push"]({ type, data: {}, seq: null, id: null });
	}

	#probe() {
		if (this.#is("joined") && !this.#isInFlight && !this.awaits("level_check")) this.#ask("level_check");
	}

	#write() {
		if (!this.#is("open", "joined") || this.token === null || this.#nowMs < this.#notBeforeMs) return;
		const waiting = this.#queue.slice(0, this.#is("open") ? 1 : Infinity).filter(({ id }) => id === null);
		if (!waiting.length || (this.#isInFlight && waiting.some(({ again }) => again))) return;
		if (!this.#isInFlight) this.#hearByMs = this.#nowMs + this.answerTimeoutMs;
		for (const entry of waiting) {
			const { token, client } = this;
			const { type, seq } = entry;
			Object.assign(entry, { token, id: String(++this.#lastId) });
			const data = { token, ...entry.data, ...(seq ? { client, seq } : type === "session" && { client }) };
			this.#do("send", { id: entry.id, type, data });
		}
	}

	#answered(entry, data) {
		const { call, type, seq } = entry;
		this.#remove(entry);
		this.#refusedTokens = this.#policyCloses = 0;
		this.state = merge(this.state, type, data);
		if (type !== "level_up") this.#appliedSeq = Math.max(this.#appliedSeq, seq);
		if (type === "session") this.#join(data);
		if (call !== undefined) this.#do("settle", { call, data });
		else if (type === "session") this.#do("joined", { data });
	}

	#join({ last_seq: lastSeq = 0 }) {
		this.#phase = "joined";
		if (lastSeq < this.#appliedSeq) this.#do("lost", { count: this.#appliedSeq - lastSeq });
		this.#appliedSeq = Math.min(this.#appliedSeq, lastSeq);
		this.seq = Math.max(this.seq, lastSeq);
		for (const each of this.#counted) each.applied ||= each.lost && each.seq <= lastSeq;
		const unsent = this.#counted.filter(({ again, id }) => !again && id === null);
		if (unsent[0]?.seq <= lastSeq) for (const each of unsent) each.seq = ++this.seq;
	}

	#refused(entry, data) {
		const { code } = data;
		const { call, type } = entry;
		this.#sendAgain(entry);
		switch (code) {
			case "token_invalid":
			case "missing_token":
				if (entry.token !== this.token) return;
				this.#refuseToken();
				if (++this.#refusedTokens === TRIES) this.#end("logged_out");
				return;
			case "rate_limited":
			case "unavailable":
				this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#after(Math.max(PAUSE_MS, data.retry_after_ms ?? 0)));
				return;
			case "session_required":
				this.#phase = "open";
				if (this.#queue[0].type !== "session") this.#ask("session");
				return;
		}
		this.#remove(entry);
		this.#refusedTokens = 0;
		if (call !== undefined) this.#do("refuse", { call, type, code, data });
		else if (type === "session") this.#end(FAULT);
	}

	#refuseToken() {
		this.#refusedToken = this.token ?? this.#refusedToken;
		this.token = null;
		if (this.#refreshMs < Infinity) this.#refreshMs = 0;
	}

	#sendAgain(entry) {
		entry.again ||= entry.id !== null;
		entry.id = null;
	}

	#remove(entry) {
		this.#queue.splice(this.#queue.indexOf(entry), 1);
	}

	#end(reason) {
		if (this.#is("logged_out", "ended")) return;
		if (!this.#is("waiting")) this.#do("close");
		const unsent = this.#owned.map(({ call, type, data, seq, again, id }) => {
			return { call, type, data, seq, maybeApplied: seq > 0 && (again || id !== null) };
		});
		this.#do("end", { reason, unsent });
		this.#phase = "ended";
		this.#reason = reason;
		this.#queue = [];
	}
}

export function merge(state, type, data) {
	const savedVersion = Math.max(data.saved_version ?? 0, state?.savedVersion ?? 0);
	if (data.version < state?.version) return { ...state, savedVersion };
	if (!CHANGES[type] || !(state || data.session)) return state;
	const known = (rank) => ({ need: rank === state?.rank ? state.need : undefined });
	const changes = CHANGES[type](data, state);
	return { ...state, version: data.version ?? state.version, savedVersion, ...known(changes.rank ?? state.rank), ...changes };
}

const shelf = ({ available, current }) => new Map([...current, ...available].map((upgrade) => [upgrade.id, upgrade]));

const prestigeOf = ({ current_value: stars, current_boost_value: boost, accumulated_value: accumulated }) => ({ stars, boost, accumulated });

const CHANGES = {
	session({ session: { user_id: userId, user_email: email, money, dishes, level, prestige, upgrades } }) {
		return { userId, email, money, dishes, rank: level.rank, xp: level.xp, ...prestigeOf(prestige), upgrades: shelf(upgrades) };
	},
	cook: ({ dishes, xp }) => ({ dishes, xp }),
	sell: ({ dishes, money, xp }) => ({ dishes, money, xp }),
	upgrade_buy({ money, xp, id, times_bought }, { upgrades }) {
		const upgrade = upgrades.get(id);
		return { money, xp, upgrades: upgrade ? new Map(upgrades).set(id, { ...upgrade, times_bought }) : upgrades };
	},
	upgrade_list: (lists) => ({ upgrades: shelf(lists) }),
	level_check: ({ current_rank: rank, current_xp: xp, needed_xp: need = null }) => ({ rank, xp, need }),
	level_up({ current_rank: rank, current_xp: xp, next_xp: need = null }, state) {
		return { rank, xp, ...(rank !== state.rank && { need }) };
	},
	session_reset({ money, dishes, level_rank: rank, level_xp: xp, prestige }, { upgrades }) {
		const unowned = [...upgrades].map(([id, upgrade]) => [id, { ...upgrade, times_bought: 0 }]);
		return { money, dishes, rank, xp, ...prestigeOf(prestige), upgrades: new Map(unowned) };
	},
	passive({ money, dishes, level_rank: rank, level_xp: xp, prestige_accumulated: accumulated }) {
		return { money, dishes, rank, xp, accumulated };
	},
	golden_guest: (data) => CHANGES.passive(data),
};

export const halfUp = (x) => Math.floor(x + 0.5);
export const hundredths = (x) => halfUp(x * 100);
const plusXp = ({ need, xp, stars }, gain, perStar, times) =>
	need === null ? xp : (hundredths(xp) + times * (gain + halfUp((perStar * halfUp(stars * 1e4)) / 1e4))) / 100;

function ofUpgrades(compute) {
	const known = new WeakMap();
	return ({ upgrades }) => known.get(upgrades) ?? known.set(upgrades, compute(upgrades)).get(upgrades);
}

export const boostSums = ofUpgrades((upgrades) => {
	const sums = { dPc: 0, mPc: 0, sPs: 0, dPs: 0, mPs: 0, dM: 0, mM: 0, dpM: 0, mpM: 0 };
	for (const { boost, times_bought } of upgrades.values()) sums[boost.boost_type] += hundredths(boost.value) * times_bought;
	return sums;
});

export function rates({ dPc, mPc, sPs, dM, mM }, boost) {
	return {
		cookGain: Math.ceil(((100 + dPc) * (dM || 100)) / 1e4),
		soldAtOnce: 1 + Math.floor(sPs / 100),
		moneyFor: (dishes) => Math.ceil((mPc * (mM || 100) * dishes * boostTenths(boost)) / 1e5),
	};
}

export const boostTenths = (boost) => (boost > 0 ? halfUp(boost * 10) : 10);

export const ownsDish = ofUpgrades((upgrades) => [...upgrades.values()].some((u) => u.upgrade_type === "dish" && u.times_bought > 0));

export function powerOf({ price_factor: factor, times_bought: times }) {
	let power = 1;
	for (let i = 0; i < times && power < 1e300; i++) power *= factor;
	return power;
}

export const priceAt = ({ price }, power) => Math.min(halfUp(price * power), 1e300);

export function purchases(upgrade, count, money) {
	const most = upgrade.upgrade_type === "dish" ? Math.min(count, 1 - upgrade.times_bought) : count;
	let [times, left, power] = [0, money, powerOf(upgrade)];
	for (let cost; times < most && (cost = priceAt(upgrade, power)) <= left; times++) {
		left -= cost;
		power *= upgrade.price_factor;
	}
	return { times, cost: money - left, left };
}

const ACTIONS = {
	cook(game, { count = 1 }) {
		if (!ownsDish(game)) return null;
		return { dishes: game.dishes + count * rates(boostSums(game), 0).cookGain, xp: plusXp(game, 100, 5, count) };
	},
	sell(game, { count = 1 }) {
		if (game.dishes <= 0) return null;
		const { soldAtOnce, moneyFor } = rates(boostSums(game), game.boost);
		const whole = Math.min(count, Math.floor(game.dishes / soldAtOnce));
		const rest = whole < count ? game.dishes - whole * soldAtOnce : 0;
		const money = game.money + whole * moneyFor(soldAtOnce) + moneyFor(rest);
		return { dishes: game.dishes - whole * soldAtOnce - rest, money, xp: plusXp(game, 100, 5, whole + (rest > 0)) };
	},
	upgrade_buy(game, { id, count = 1 }) {
		const upgrade = game.upgrades.get(id);
		if (!upgrade || upgrade.access_level > game.rank) return null;
		const { times, left } = purchases(upgrade, count, game.money);
		if (times === 0) return null;
		const upgrades = new Map(game.upgrades).set(id, { ...upgrade, times_bought: upgrade.times_bought + times });
		return { money: left, upgrades, xp: plusXp(game, 5 * (game.need ?? 0), 10, times) };
	},
};

export function apply(game, type, data = {}) {
	const changes = ACTIONS[type] ? ACTIONS[type](game, data) : {};
	return changes && { ...game, ...changes };
}
