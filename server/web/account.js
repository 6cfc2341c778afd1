/**
 * Who is playing: the HTTP side of the account, and the pair of tokens that all tabs share through localStorage.
 *
 * A refresh token works once, and a claim or a change of e-mail or password ends every pair from before. So tabs take
 * turns with a Web Lock and look first whether another was quicker. Without locks (no secure context) the server's 30 s
 * of grace cover a renewal; a change leaves a mark for its time, so that the others wait for its pair.
 */

import { shared } from "./storage.js";

const KEY = "click-and-cook.tokens";
/** Set for as long as a tab changes the account. */
const CHANGING = "click-and-cook.changing";
/** Set where somebody with an e-mail has played: they want to log in, not to begin. */
const KNOWN = "click-and-cook.has-account";
/** A mark older than this is one of a tab that was closed meanwhile. */
const CHANGING_FOR_MS = 20_000;
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
		return this.#pair ? claims(this.#pair.access).id : undefined;
	}

	/** Whether somebody with an e-mail has played in this browser. */
	get isKnown() {
		return shared.get(KNOWN) !== null;
	}

	set isKnown(known) {
		if (!known) shared.remove(KNOWN);
		else if (!this.isKnown) shared.set(KNOWN, "1");
	}

	/**
	 * Gets a pair: `/guest`, `/reg`, `/auth`, `/reset`. Null on success, else `{status, message, retryAfterS}`.
	 */
	async enter(path, fields = {}) {
		const { ok, body, retryAfterS } = await send("POST", path, "", fields);
		if (!ok) return { ...body, retryAfterS };
		this.#keep(body.tokens);
		return null;
	}

	/** Asks for a link by mail. Null on success, else the refusal. */
	async forgot(email) {
		const { ok, body, retryAfterS } = await send("POST", "/forgot", "", { email });
		return ok ? null : { ...body, retryAfterS };
	}

	/** `/claim`, `/email`, `/password`: the answer's pair replaces every older one, in all tabs. Null, or the refusal. */
	async change(path, fields) {
		const { ok, body, retryAfterS } = await this.#alone(async () => {
			shared.set(CHANGING, String(Date.now()));
			try {
				const answer = await this.#asMyself("POST", path, fields);
				if (answer.ok) this.#keep(answer.body.tokens);
				return answer;
			} finally {
				shared.remove(CHANGING);
			}
		});
		return ok ? null : { ...body, retryAfterS };
	}

	/** Deletes the account; a guest has no password. Null, or the refusal. */
	async delete(password) {
		const fields = password ? { password } : {};
		const { ok, body, retryAfterS } = await this.#alone(() => this.#asMyself("DELETE", "/account", fields));
		return ok ? null : { ...body, retryAfterS };
	}

	/** All that the server keeps of the player, as text. */
	async export() {
		const { ok, status, body } = await this.#alone(() => this.#asMyself("GET", "/export"));
		if (!ok) throw new Error(`/export: ${status}`);
		return JSON.stringify(body, null, "\t");
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
		return this.#alone(() => this.#renewUnlessRenewed(access));
	}

	/** Ends the log-in here, in every tab, and at the server if it answers; `everywhere`: each one of the player. */
	async leave(everywhere = false) {
		const refresh = this.#pair?.refresh;
		this.forget();
		if (refresh) await send("POST", everywhere ? "/logout/everywhere" : "/logout", refresh).catch(() => {});
	}

	/** Ends it here alone: the server ended it. */
	forget() {
		this.#pair = null;
		shared.remove(KEY);
	}

	/** Runs `act` while no other tab renews or changes the pair. */
	#alone(act) {
		return navigator.locks ? navigator.locks.request(KEY, act) : act();
	}

	/** Sends a request with the newest access token; once more with a renewed one where that is refused. */
	async #asMyself(method, path, fields) {
		this.#pair = read();
		if (!this.#pair) throw new LoggedOut();
		const { access } = this.#pair;
		const answer = isAgeing(this.#pair) ? null : await send(method, path, access, fields);
		if (answer && !(answer.status === 401 && answer.body.message === "token invalid")) return answer;
		return send(method, path, await this.#renewUnlessRenewed(access, true), fields);
	}

	async #renewUnlessRenewed(access, changing = false) {
		this.#pair = read();
		if (this.#pair && this.#pair.access !== access) return this.#pair.access;
		const used = this.#pair?.refresh;
		const { ok, status, body } = await send("POST", "/refresh", used);
		if (ok) return this.#keep(body.tokens);
		if (status !== 401 && body.status !== 10) throw new Error(`/refresh: ${status}`);
		this.#pair = read();
		if (this.#pair && this.#pair.refresh !== used) return this.#pair.access;
		if (!changing && isChanging()) throw new Error("another tab will store the new pair");
		this.forget();
		throw new LoggedOut();
	}

	#keep({ access_token: access, refresh_token: refresh }) {
		this.#pair = { access, refresh, sinceMs: Date.now() };
		shared.set(KEY, JSON.stringify(this.#pair));
		return access;
	}
}

/** What the server offers: `{guests, mail}`; null where it does not say. */
export async function askFeatures() {
	try {
		const { ok, body } = await send("GET", "/features", "");
		if (ok) return { guests: body.guests === true, mail: body.mail === true };
	} catch {
		// No answer is an answer that says nothing.
	}
	return null;
}

function isChanging() {
	const ageMs = Date.now() - Number(shared.get(CHANGING) ?? NaN);
	return ageMs >= 0 && ageMs < CHANGING_FOR_MS;
}

/** The pair that is kept; null where that was damaged. */
function read() {
	try {
		const { access, refresh, sinceMs } = JSON.parse(shared.get(KEY));
		const isPair = typeof refresh === "string" && /^\d+$/.test(claims(access).id);
		return isPair ? { access, refresh, sinceMs } : null;
	} catch {
		return null;
	}
}

const claims = (token) => JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

/** Measured from when the token came: this machine's clock may differ from the server's. */
function isAgeing({ access, sinceMs }) {
	const { iat, exp } = claims(access);
	const ageMs = Date.now() - sinceMs;
	return !(ageMs >= 0 && ageMs <= (exp - iat) * 1000 * RENEW_AFTER);
}

/** Throws where no JSON comes back. */
async function send(method, path, bearer, fields = {}) {
	const headers = { "Content-Type": "application/json", ...(bearer && { Authorization: `Bearer ${bearer}` }) };
	const body = method === "GET" ? undefined : JSON.stringify(fields);
	const response = await fetch(path, { method, headers, body });
	const { ok, status } = response;
	return { ok, status, body: await response.json(), retryAfterS: Number(response.headers.get("Retry-After")) };
}
