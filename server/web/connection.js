/** The WebSocket under a conversation: opened, opened again, and supplied with a valid token. */

import { LoggedOut } from "./account.js";

/** An answer this late means that the line is dead. */
const ANSWER_TIMEOUT_MS = 10_000;
/** After this much silence the line is tried with a read. */
const QUIET_MS = 25_000;
/** A connection that lived this long restarts the back-off. */
const STABLE_MS = 5_000;
const MAX_REFUSED_TOKENS = 3;
/** The pause after a renewal that told nothing. */
const RENEW_AGAIN_MS = 2_000;

/** Close codes of the wire contract. */
const GOING_AWAY = 1001;
const NO_CLOSE_FRAME = 1006;
const TOO_BUSY = 1013;
const LOG_IN_REVOKED = 4001;
const TOO_MANY_CONNECTIONS = 4002;

/**
 * The wait before the next attempt, jittered so that players don't return all at once.
 *
 * @param {number} attempt 0 for the first after a stable connection
 * @param {number} random from 0 to 1
 */
export function backOffMs(attempt, closeCode, random) {
	if (closeCode === TOO_MANY_CONNECTIONS) return 20_000 + 20_000 * random;
	const baseMs = { [TOO_BUSY]: 2_000, [GOING_AWAY]: 300 }[closeCode] ?? 500;
	return Math.min(baseMs * 2 ** attempt, 15_000) * (0.3 + 0.7 * random);
}

export class Connection {
	#socket = null;
	#attempt = 0;
	#openedMs = 0;
	#heardMs = 0;
	#retryAtMs = 0;
	#closeCode = 0;
	#retryTimer = 0;
	#pumpTimer = 0;
	#watchTimer = 0;
	#token = null;
	#refusedToken = null;
	#refusedTokens = 0;
	#renewing = false;
	#renewAtMs = 0;

	/**
	 * @param on `message` gets what `conversation.receive` gives; `state` is called when `status` may have changed;
	 *   `loggedOut` gets `expired` or `revoked`
	 */
	constructor(url, conversation, account, on) {
		Object.assign(this, { url, conversation, account, on });
	}

	start() {
		this.#watchTimer = setInterval(() => this.#watch(), 1000);
		this.#connect();
	}

	/** Closes for good. */
	stop() {
		for (const timer of [this.#retryTimer, this.#pumpTimer, this.#watchTimer]) clearTimeout(timer);
		this.#drop();
	}

	/** `name` is `connecting`, `connected`, `resending`, `reconnecting` or `crowded`; `inMs` until the next attempt. */
	get status() {
		const { joined, toResend } = this.conversation;
		const inMs = joined ? 0 : Math.max(0, this.#retryAtMs - Date.now());
		if (joined) return { name: toResend ? "resending" : "connected", toResend, inMs };
		if (!inMs) return { name: "connecting", inMs };
		return { name: this.#closeCode === TOO_MANY_CONNECTIONS ? "crowded" : "reconnecting", inMs };
	}

	/** Sends a request, now or when it can, and gives its entry; null when too many are unanswered. */
	request(type, data) {
		const entry = this.conversation.request(type, data);
		this.#pump();
		return entry;
	}

	/** Ends the wait for the next attempt. */
	retryNow() {
		if (!this.#socket) this.#connect();
	}

	#connect() {
		clearTimeout(this.#retryTimer);
		this.#retryAtMs = 0;
		this.#openedMs = this.#heardMs = Date.now();
		const socket = new WebSocket(this.url);
		this.#socket = socket;
		socket.onopen = () => {
			this.conversation.opened();
			this.#renew();
		};
		socket.onmessage = ({ data }) => this.#heard(data);
		socket.onclose = ({ code }) => this.#lost(code);
		this.on.state();
	}

	#drop() {
		const socket = this.#socket;
		if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
		socket?.close();
		this.#socket = null;
		this.conversation.lost();
	}

	#lost(closeCode) {
		this.#drop();
		this.#closeCode = closeCode;
		if (closeCode === LOG_IN_REVOKED) {
			// Another tab may hold a newer log-in, after a change of the password: only a refused renewal is the end.
			this.#refusedToken = this.#token;
			this.#renew();
		}
		if (Date.now() - this.#openedMs > STABLE_MS) this.#attempt = 0;
		const delayMs = backOffMs(this.#attempt++, closeCode, Math.random());
		this.#retryAtMs = Date.now() + delayMs;
		this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
		this.on.state();
	}

	#heard(text) {
		this.#heardMs = Date.now();
		const message = this.conversation.receive(text, this.#heardMs);
		if (message.kind === "answer") this.#refusedTokens = 0;
		if (message.kind === "token") {
			this.#refusedToken = this.#token;
			if (++this.#refusedTokens >= MAX_REFUSED_TOKENS) this.on.loggedOut("expired");
			else this.#renew();
		}
		this.on.message(message);
		this.#pump();
	}

	/** Hands the conversation a valid token. Where there is none now, the watch tries again. */
	async #renew() {
		if (this.#renewing || Date.now() < this.#renewAtMs) return;
		this.#renewing = true;
		try {
			this.#token = await this.account.access(this.#refusedToken);
			this.conversation.useToken(this.#token);
		} catch (error) {
			if (error instanceof LoggedOut) this.on.loggedOut(this.#closeCode === LOG_IN_REVOKED ? "revoked" : "expired");
			else this.#renewAtMs = Date.now() + RENEW_AGAIN_MS;
		}
		this.#renewing = false;
		this.#pump();
	}

	/** Writes what may be written; after a pause that the server asked for, by itself. */
	#pump() {
		clearTimeout(this.#pumpTimer);
		const nowMs = Date.now();
		if (this.#socket?.readyState === WebSocket.OPEN) {
			const idle = !this.conversation.inFlight;
			const frames = this.conversation.frames(nowMs);
			if (idle && frames.length) this.#heardMs = nowMs;
			for (const frame of frames) this.#socket.send(frame);
			const waitMs = this.conversation.waitMs(nowMs);
			if (waitMs) this.#pumpTimer = setTimeout(() => this.#pump(), waitMs * (1 + 0.2 * Math.random()));
		}
		this.on.state();
	}

	#watch() {
		const quietMs = Date.now() - this.#heardMs;
		const { inFlight, joined } = this.conversation;
		const connecting = this.#socket?.readyState === WebSocket.CONNECTING;
		if ((inFlight || connecting) && quietMs > ANSWER_TIMEOUT_MS) this.#lost(NO_CLOSE_FRAME);
		else if (joined && quietMs > QUIET_MS) this.request("level_check");
		if (this.#socket?.readyState === WebSocket.OPEN) this.#renew();
		this.on.state();
	}
}
