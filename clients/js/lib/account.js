/** The HTTP side of an account, and its pair of tokens: `{access, refresh, sinceMs}`, kept by a store. */

import { RENEW_AFTER } from "./core.js";

/** Whatever this library throws; `fields` say the rest. */
export class ClickCookError extends Error {
	constructor(message, fields) {
		super(message);
		Object.assign(this, { name: this.constructor.name, retryable: false }, fields);
	}
}
/** The game's refusal of a request, by `code`. */
export class Refused extends ClickCookError {}
/** The refusal of an HTTP request, by its `status`. */
export class AccountRefused extends ClickCookError {}
export class Suspended extends AccountRefused {}
/** The log-in is over. */
export class LoggedOut extends ClickCookError {}
/** No answer, or none that says anything: try again later. */
export class Unreachable extends ClickCookError {}

const ANSWER_WITHIN_MS = 15_000;
const SUSPENDED = 10;
const RETRYABLE = [4, 6, 7];

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

/**
 * Keeps the pair in `localStorage` for all tabs. A refresh token works once, so tabs take turns with a Web Lock. Without
 * locks (no secure context) the server's 30 s of grace cover a renewal; a change of the account, which ends every pair
 * from before, leaves a mark for its time, so that the others wait for its pair.
 */
export class WebStore {
	/** @param storage `localStorage`, or what has its `getItem`, `setItem` and `removeItem` */
	constructor(storage = localStorage, key = "click-and-cook.tokens") {
		Object.assign(this, { storage, key, mark: `${key}.changing` });
	}
	load() {
		try {
			return JSON.parse(this.storage.getItem(this.key));
		} catch {
			return null;
		}
	}
	save(pair) {
		this.storage.setItem(this.key, JSON.stringify(pair));
	}
	clear() {
		this.storage.removeItem(this.key);
	}
	/** Runs `act` while no other tab renews or changes the pair. */
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
	/** Whether another tab is changing the account. The mark of a tab that was closed meanwhile grows old. */
	get busy() {
		const ageMs = Date.now() - Number(this.storage.getItem(this.mark) ?? NaN);
		return ageMs >= 0 && ageMs < 20_000;
	}
}

const claims = (token) => JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

export class Account {
	#pair;

	constructor(url, store = new MemoryStore(), { fetch = globalThis.fetch.bind(globalThis), wallMs = Date.now } = {}) {
		Object.assign(this, { url, store, fetch, wallMs });
		this.reload();
	}

	/** Takes the pair that is kept; null where that is damaged. */
	reload() {
		this.#pair = null;
		const pair = this.store.load();
		try {
			if (typeof pair.refresh === "string" && /^\d+$/.test(claims(pair.access).id)) this.#pair = pair;
		} catch {
			// As good as none.
		}
	}

	/** The player's id as a text, or undefined. */
	get userId() {
		return this.#pair ? claims(this.#pair.access).id : undefined;
	}

	/** `/guest`, `/reg`, `/auth`, `/reset`: begins a log-in. */
	async enter(path, fields) {
		this.#keep((await this.send("POST", path, null, fields)).tokens);
	}

	/** `/claim`, `/email`, `/password`: the answer's pair replaces every older one, in all tabs. */
	change(path, fields) {
		return this.#alone(async () => this.#keep((await this.#asMyself("POST", path, fields)).tokens), true);
	}

	/** Sends a request with the newest access token; once more with a renewed one where that is refused. */
	ask(method, path, fields) {
		return this.#alone(() => this.#asMyself(method, path, fields));
	}

	/**
	 * A token that is not `unwanted`, renewed where needed: `{access, lifeMs, ageMs}`, its age measured from when it came,
	 * since this machine's clock may differ from the server's. Throws LoggedOut, or what may pass.
	 */
	async access(unwanted) {
		const pair = this.#pair;
		if (!pair) throw new LoggedOut("logged out");
		if (pair.access === unwanted || this.#isAgeing(pair)) await this.#alone(() => this.#renew(pair.access));
		const { access, sinceMs } = this.#pair;
		return { access, lifeMs: lifeMs(access), ageMs: Math.max(0, this.wallMs() - sinceMs) };
	}

	/** Ends the log-in here, and at the server if it answers; `everywhere`: each one of the player. */
	async leave(everywhere = false) {
		const refresh = this.#pair?.refresh;
		this.forget();
		if (refresh) await this.send("POST", everywhere ? "/logout/everywhere" : "/logout", refresh).catch(() => {});
	}

	forget() {
		this.#pair = null;
		this.store.clear();
	}

	/** The body of an answer. Throws its refusal. */
	async send(method, path, bearer, fields = {}) {
		const headers = { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) };
		const body = method === "GET" ? undefined : JSON.stringify(fields);
		let response, answer;
		try {
			response = await this.fetch(this.url + path, { method, headers, body, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
			answer = await response.json();
		} catch (cause) {
			throw new Unreachable(`${path}: no answer`, { retryable: true, cause });
		}
		if (response.ok) return answer;
		const retryAfterMs = 1000 * (Number(response.headers.get("Retry-After")) || 0);
		const refused = { ...answer, httpStatus: response.status, retryAfterMs, retryable: RETRYABLE.includes(answer.status) };
		throw new (answer.status === SUSPENDED ? Suspended : AccountRefused)(answer.message, refused);
	}

	#alone(act, changing = false) {
		return this.store.alone ? this.store.alone(act, changing) : act();
	}

	async #asMyself(method, path, fields) {
		this.reload();
		if (!this.#pair) throw new LoggedOut("logged out");
		const { access } = this.#pair;
		try {
			if (!this.#isAgeing(this.#pair)) return await this.send(method, path, access, fields);
		} catch (error) {
			if (error.httpStatus !== 401 || error.message !== "token invalid") throw error;
		}
		await this.#renew(access, true);
		return this.send(method, path, this.#pair.access, fields);
	}

	/** Renews the pair, unless another tab has. */
	async #renew(access, changing = false) {
		this.reload();
		const used = this.#pair;
		if (!used) throw new LoggedOut("logged out");
		if (used.access !== access) return;
		try {
			return this.#keep((await this.send("POST", "/refresh", used.refresh)).tokens);
		} catch (error) {
			if (error.httpStatus !== 401 && !(error instanceof Suspended)) throw error;
			this.reload();
			if (this.#pair && this.#pair.refresh !== used.refresh) return;
			if (!changing && this.store.busy) throw new Unreachable("another tab will keep the new pair", { retryable: true });
			this.forget();
			throw error instanceof Suspended ? error : new LoggedOut(error.message, { cause: error });
		}
	}

	#keep({ access_token: access, refresh_token: refresh }) {
		this.#pair = { access, refresh, sinceMs: this.wallMs() };
		this.store.save(this.#pair);
	}

	#isAgeing({ access, sinceMs }) {
		const ageMs = this.wallMs() - sinceMs;
		return !(ageMs >= 0 && ageMs <= lifeMs(access) * RENEW_AFTER);
	}
}

function lifeMs(access) {
	const { iat, exp } = claims(access);
	return (exp - iat) * 1000;
}
