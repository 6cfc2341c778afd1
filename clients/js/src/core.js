/**
 * What a client does, by the cases of `clients/conformance`. Pure: no socket, no timer, no clock.
 *
 * An entry of the queue: `seq` is null for reads; `id` is the request_id while in flight, else null; `again`: it was sent and
 * has to be sent again; `lost`: its connection broke first; `applied`: the server has counted it, although no answer said
 * so; `call` is undefined for the core's own.
 */

import { apply, merge } from "./game.js";

/** The server remembers a client's last 64 numbers. */
export const SEQ_WINDOW = 64;
/** The share of a token's life after which it is renewed. */
export const RENEW_AFTER = 0.7;
/** The server answers nothing for this long after it was asked too much. */
const PAUSE_MS = 250;
const TRIES = 3;
const COUNTED = new Set(["cook", "sell", "upgrade_buy", "level_up", "session_reset"]);
const FAULT = "client_fault";
const REASONS = {
	...{ 1001: "going_away", 1002: FAULT, 1003: FAULT, 1007: FAULT, 1008: "policy", 1009: FAULT, 1013: "too_busy" },
	...{ 4000: "slow_reader", 4001: "revoked", 4002: "crowded" },
};
const PACE = { too_busy: 4, going_away: 0.6 };

/** What `act` gives; null where it throws. */
export function attempt(act) {
	try {
		return act();
	} catch {
		return null;
	}
}

/** What an earlier page or process kept of its conversation; null where that is damaged or another player's. */
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
	/** What is to be done, in order. */
	out = [];
	/** What the server says of the player, null before the first `session`. */
	state = null;
	/** The access token of the requests to come, null while another is needed. */
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
	/** `logged_out`, `waiting`, `connecting`, `open`, `joined`, `ended` */
	#phase = "logged_out";
	#reason = null;
	#isOffline = false;
	#attempt = 0;
	#nowMs = 0;
	#retryMs = 0;
	#openedMs = 0;
	#heardMs = 0;
	/** When something must have been heard, if anything is owed. */
	#hearByMs = 0;
	#notBeforeMs = 0;
	/** Infinity while a pair is asked for. */
	#refreshMs = 0;
	#refusedToken = null;
	#refusedTokens = 0;
	#policyCloses = 0;
	#appliedSeq = 0;
	#lastId = 0;

	/** The options' names are those of the fields above. */
	constructor({ seq = 0, waiting = [], ...options } = {}) {
		Object.assign(this, options, { seq });
		this.#queue = waiting.map((entry) => ({ ...entry, call: null, id: null, again: true, lost: true }));
	}

	/** Takes an input, which is one of the methods from `start` to `stop`, or `time`; then does what is due. */
	take(input, nowMs, fields) {
		this.#nowMs = nowMs;
		this[input]?.(fields);
		for (const [atMs, act] of this.#plans) if (nowMs >= atMs) act.call(this);
		this.#write();
	}

	/** For the next page or process. */
	kept() {
		const { client, seq, userId } = this;
		return { client, seq, userId, waiting: this.#counted.map(({ type, data, seq }) => ({ type, data, seq })) };
	}

	/** The owner's, as long as no answer has shown what they did. */
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

	/** When the core wants an input at the latest. */
	get wakeMs() {
		return Math.min(...this.#plans.map(([atMs]) => atMs));
	}

	start() {
		this.#phase = "waiting";
	}

	/** `ageMs` since it came: this machine's clock may differ from the server's. */
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

	/** Without a code where none could be opened. */
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

	/** `resumed`: after a sleep of the machine or the page. */
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

	/** What is to come: when, and what is done then. */
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

	/** The core's own request: a greeting goes first. */
	#ask(type) {
		this.#queue[type === "session" ? "unshift" : "push"]({ type, data: {}, seq: null, id: null });
	}

	#probe() {
		if (this.#is("joined") && !this.#isInFlight && !this.awaits("level_check")) this.#ask("level_check");
	}

	#write() {
		if (!this.#is("open", "joined") || this.token === null || this.#nowMs < this.#notBeforeMs) return;
		const waiting = this.#queue.slice(0, this.#is("open") ? 1 : Infinity).filter(({ id }) => id === null);
		// What is sent again keeps its place: nothing that is in flight may come after it.
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
		// A level_up without enough xp is not remembered by the server.
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
		// A number that was never sent and is known all the same was used by another page of this tab.
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
