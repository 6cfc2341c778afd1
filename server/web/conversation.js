/**
 * One tab's conversation with the server, as the wire contract asks for it. Pure: no socket, no clock, no DOM.
 *
 * Requests wait in one queue for their answers, which come in order. State-changing ones carry `client` and a growing
 * `seq`: what was not answered is sent again after a reconnect and counts once. A `session` opens each connection.
 *
 * An entry of the queue: `seq` is 0 for reads; `id` is the request_id while in flight, else null; `applied` means that
 * the server is known to have counted it although its answer was lost.
 */

/** The server remembers a client's last 64 numbers: a lower one would be refused. */
export const SEQ_WINDOW = 64;
/** After `rate_limited` and `unavailable` the server answers nothing for this long. */
const PAUSE_MS = 250;
const COUNTED = new Set(["cook", "sell", "upgrade_buy", "level_up", "session_reset"]);

const isCount = (count) => count === undefined || (Number.isSafeInteger(count) && count >= 1);

/**
 * What an earlier page of this tab kept of its conversation with `userId`, or null where that is damaged or another's.
 */
export function readKept(text, userId) {
	try {
		const { client, seq, waiting, userId: owner } = JSON.parse(text);
		const isWhole = owner === userId && typeof client === "string" && client && client.length <= 64 && Number.isSafeInteger(seq);
		let last = 0;
		const follows = ({ type, data, seq: own }) => {
			const fits = COUNTED.has(type) && Number.isSafeInteger(own) && own > last && own <= seq;
			last = own;
			return fits && (type !== "upgrade_buy" || (Number.isSafeInteger(data.id) && isCount(data.count)));
		};
		if (!isWhole || waiting.length > SEQ_WINDOW || !waiting.every(follows)) return null;
		const dataOf = ({ id, count }) => (count === undefined ? { id } : { id, count });
		const entry = ({ type, data, seq: own }) => ({ type, data: type === "upgrade_buy" ? dataOf(data) : {}, seq: own });
		return { client, seq, waiting: waiting.map(entry) };
	} catch {
		return null;
	}
}

const newEntry = (type, data, seq) => ({ type, data, seq, id: null, token: null, sentBefore: false, applied: false });

export class Conversation {
	#queue = [];
	#lastId = 0;
	#open = false;
	#token = null;
	#notBefore = 0;
	/** Whether this connection's `session` has been answered. */
	joined = false;

	/** @param {{client: string, seq?: number, waiting?: object[]}} kept new, or what `kept` gave before */
	constructor({ client, seq = 0, waiting = [] }) {
		this.client = client;
		this.seq = seq;
		this.#queue = waiting.map((entry) => ({ ...newEntry(entry.type, entry.data, entry.seq), sentBefore: true }));
	}

	/** What the next page in this tab needs to go on with this conversation. */
	kept() {
		const waiting = this.#counted().map(({ type, data, seq }) => ({ type, data, seq }));
		return { client: this.client, seq: this.seq, waiting };
	}

	/** The state-changing requests whose effect no answer has shown yet, oldest first. */
	get unanswered() {
		return this.#counted().filter((entry) => !entry.applied);
	}

	/** How many requests were sent once, and have to be, or are being, sent again. */
	get toResend() {
		return this.#counted().filter((entry) => entry.sentBefore).length;
	}

	get inFlight() {
		return this.#queue.some((entry) => entry.id !== null);
	}

	/** True while a request of this type has no answer yet. */
	awaits(type) {
		return this.#queue.some((entry) => entry.type === type);
	}

	/** Queues a request and gives its entry; null when its number would leave the server's window. */
	request(type, data = {}) {
		const counted = COUNTED.has(type);
		const oldest = this.#counted()[0];
		if (counted && oldest && this.seq + 1 - oldest.seq >= SEQ_WINDOW) return null;
		const entry = newEntry(type, data, counted ? ++this.seq : 0);
		this.#queue.push(entry);
		return entry;
	}

	/** A socket has opened: the first frame on it will be a `session`. */
	opened() {
		this.lost();
		this.#open = true;
		this.#notBefore = 0;
		this.#greet();
	}

	/** The socket is gone; what had no answer waits for the next one. */
	lost() {
		this.#open = this.joined = false;
		this.#queue = this.#queue.filter((entry) => entry.type !== "session");
		for (const entry of this.#queue) this.#sendAgain(entry);
	}

	/** The token for the requests to come. */
	useToken(token) {
		this.#token = token;
	}

	/** For how long the server asked to wait; 0 when `frames` may give something. */
	waitMs(nowMs) {
		return Math.max(0, this.#notBefore - nowMs);
	}

	/** The frames to write now, in order. What is sent again waits until nothing is in flight. */
	frames(nowMs) {
		if (!this.#open || this.#token === null || this.waitMs(nowMs) > 0) return [];
		const sendable = this.joined ? this.#queue : this.#queue.slice(0, 1);
		const waiting = sendable.filter((entry) => entry.id === null);
		if (this.inFlight && waiting.some((entry) => entry.sentBefore)) return [];
		return waiting.map((entry) => this.#frame(entry));
	}

	/**
	 * Takes one message of the server.
	 *
	 * @returns `{kind, type, data, request}`: `answer` to a request; `told` by the server on its own; `refused` for good
	 *   (`type` is the error's code); `token` when another token is needed; `later` when it will be sent again; `noise`
	 *   when no request of ours is behind it.
	 */
	receive(text, nowMs) {
		const { request_id: id, request_type: type, data } = JSON.parse(text);
		if (id === "" && type !== "error") return { kind: "told", type, data };
		const request = this.#queue.find((entry) => entry.id === id);
		if (!request) return { kind: "noise", type, data };
		if (type === "error") return { kind: this.#refused(request, data, nowMs), type: data.code, data, request };
		this.#drop(request);
		if (type === "session") this.#hasJoined(data);
		return { kind: "answer", type, data, request };
	}

	#refused(entry, { code, retry_after_ms: retryAfterMs = 0 }, nowMs) {
		switch (code) {
			case "token_invalid":
			case "missing_token":
				this.#sendAgain(entry);
				if (entry.token !== this.#token) return "later";
				this.#token = null;
				return "token";
			case "rate_limited":
			case "unavailable":
				this.#sendAgain(entry);
				this.#notBefore = nowMs + Math.max(PAUSE_MS, retryAfterMs);
				return "later";
			case "session_required":
				this.#sendAgain(entry);
				this.joined = false;
				if (!this.awaits("session")) this.#greet();
				return "later";
			default:
				this.#drop(entry);
				return "refused";
		}
	}

	#sendAgain(entry) {
		entry.sentBefore ||= entry.id !== null;
		entry.id = null;
	}

	#drop(entry) {
		this.#queue.splice(this.#queue.indexOf(entry), 1);
	}

	#greet() {
		this.#queue.unshift(newEntry("session", {}, 0));
	}

	#hasJoined({ last_seq: lastSeq = 0 }) {
		this.joined = true;
		this.seq = Math.max(this.seq, lastSeq);
		for (const entry of this.#counted()) entry.applied ||= entry.seq <= lastSeq;
	}

	#counted() {
		return this.#queue.filter((entry) => entry.seq > 0);
	}

	#frame(entry) {
		entry.id = String(++this.#lastId);
		entry.token = this.#token;
		const data = { token: this.#token, ...entry.data };
		if (entry.seq || entry.type === "session") data.client = this.client;
		if (entry.seq) data.seq = entry.seq;
		return JSON.stringify({ message_type: "request", request_id: entry.id, request_type: entry.type, data });
	}
}
