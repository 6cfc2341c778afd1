/**
 * Who is playing: the HTTP side of the account, and the pair of tokens that all tabs share through localStorage.
 *
 * A refresh token works once: tabs take turns with a Web Lock and look first whether another was quicker. Without locks
 * (no secure context) the server's 30 s of grace cover the race.
 */

const KEY = "click-and-cook.tokens";
/** The share of an access token's life after which it is renewed ahead of time. */
const RENEW_AFTER = 0.7;

/** The log-in is over: show the entrance. */
export class LoggedOut extends Error {}

export class Account {
	#pair = read();

	/** @param {() => void} onChanged another tab logged in, out, or in as somebody else */
	constructor(onChanged) {
		addEventListener("storage", () => {
			const before = this.userId;
			this.#pair = read();
			if (this.userId !== before) onChanged();
		});
	}

	/** The user's id, or undefined. */
	get userId() {
		return claims(this.#pair?.access).id;
	}

	/** Registers (`/reg`) or logs in (`/auth`). Null on success, else `{status, message, retryAfterS}`. */
	async enter(path, email, password) {
		const { ok, body, retryAfterS } = await post(path, "", { email, password });
		if (!ok) return { ...body, retryAfterS };
		this.#keep(body.tokens);
		return null;
	}

	/**
	 * An access token that is not `refused` and has some life left; renews the pair where needed.
	 *
	 * @throws {LoggedOut} the server knows the log-in no more; any other error says nothing: try again later
	 */
	async access(refused) {
		if (!this.#pair) throw new LoggedOut();
		const { access } = this.#pair;
		if (access !== refused && !isAgeing(this.#pair)) return access;
		const renew = () => this.#renewUnlessRenewed(access);
		return navigator.locks ? navigator.locks.request(KEY, renew) : renew();
	}

	/** Ends the log-in here, in every tab, and at the server if it answers. */
	async leave() {
		const refresh = this.#pair?.refresh;
		this.forget();
		if (refresh) await post("/logout", refresh).catch(() => {});
	}

	/** Ends the log-in here alone: the server has ended it. */
	forget() {
		this.#pair = null;
		localStorage.removeItem(KEY);
	}

	async #renewUnlessRenewed(access) {
		this.#pair = read();
		if (this.#pair && this.#pair.access !== access) return this.#pair.access;
		const used = this.#pair?.refresh;
		const { ok, status, body } = await post("/refresh", used);
		if (ok) return this.#keep(body.tokens);
		if (status !== 401) throw new Error(`/refresh: ${status}`);
		this.#pair = read();
		if (this.#pair && this.#pair.refresh !== used) return this.#pair.access;
		this.forget();
		throw new LoggedOut();
	}

	#keep({ access_token: access, refresh_token: refresh }) {
		this.#pair = { access, refresh, sinceMs: Date.now() };
		localStorage.setItem(KEY, JSON.stringify(this.#pair));
		return access;
	}
}

/** The pair that is kept; none where that was damaged. */
function read() {
	try {
		const pair = JSON.parse(localStorage.getItem(KEY));
		return claims(pair.access).id && pair;
	} catch {
		return null;
	}
}

function claims(token) {
	const payload = token?.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
	return payload ? JSON.parse(atob(payload)) : {};
}

/** Measured from when the token came: this machine's clock may differ from the server's. */
function isAgeing({ access, sinceMs }) {
	const { iat, exp } = claims(access);
	const ageMs = Date.now() - sinceMs;
	return ageMs < 0 || ageMs > (exp - iat) * 1000 * RENEW_AFTER;
}

/** Throws where no JSON comes back. */
async function post(path, bearer, fields = {}) {
	const headers = { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) };
	const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(fields) });
	const { ok, status } = response;
	return { ok, status, body: await response.json(), retryAfterS: Number(response.headers.get("Retry-After")) };
}
