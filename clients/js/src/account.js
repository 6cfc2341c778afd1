/** The HTTP side of an account, and its log-in: a pair of tokens. */

import { attempt, RENEW_AFTER } from "./core.js";

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

/**
 * A refresh token works once, so tabs take turns with a Web Lock. Without locks (no secure context) the server's 30 s of
 * grace cover a renewal; a change of the account ends every older pair, and leaves a mark for the others to wait.
 */
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
	/** Without locks another tab's pair, which ended this one, may be on its way. */
	async replaced(refresh, looks = 50) {
		while (looks-- && !navigator.locks && this.load()?.refresh === refresh) await new Promise((resolve) => setTimeout(resolve, 100));
	}
	/** The mark of a tab that was closed grows old. */
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

	/** The token's age is measured from when it came: this machine's clock may differ from the server's. */
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

	/** The access token, another one where it ages or is `unwanted`: another tab may have renewed it. */
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

/** What a token says; nothing where it is damaged. */
const claims = (token) => parsed(attempt(() => atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")))) ?? {};

const lifeMs = (access) => (claims(access).exp - claims(access).iat) * 1000;

export const parsed = (text) => attempt(() => JSON.parse(text));
