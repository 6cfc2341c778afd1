/**
 * A client's side of the wire contract. Pure: no socket and no timer; each input brings the time in ms.
 *
 * Inputs add to `out` what is to be done; `wakeMs` says when the next `time` is due. An entry of the queue: `seq` is 0
 * for reads; `id` is the request_id while in flight, else null; `again` means that it was sent and has to be sent again,
 * `lost` that its connection broke first, `applied` that the server has counted it although no answer said so.
 */

import { apply } from "./rules.js";
import { merge } from "./state.js";

/** The server remembers a client's last 64 numbers: a lower one would be refused. */
export const SEQ_WINDOW = 64;
/** After `rate_limited` and `unavailable` the server answers nothing for this long. */
const PAUSE_MS = 250;
/** The share of an access token's life after which it is renewed ahead of time. */
export const RENEW_AFTER = 0.7;
const TRIES = 3;
const COUNTED = new Set(["cook", "sell", "upgrade_buy", "level_up", "session_reset"]);
const FAULT = "client_fault";
const REASONS = {
	...{ 1001: "going_away", 1002: FAULT, 1003: FAULT, 1007: FAULT, 1008: "policy", 1009: FAULT, 1013: "too_busy" },
	...{ 4000: "slow_reader", 4001: "revoked", 4002: "crowded" },
};
const PACE = { too_busy: 4, going_away: 0.6 };

const entryOf = (type, data, seq, call) => ({ type, data, seq, call, id: null, token: null });

/** What an earlier page or process kept of its conversation with `userId`; null where it is damaged or another's. */
export function readKept(kept, userId) {
	try {
		const { client, seq, waiting, userId: owner } = kept;
		const isWhole = owner === userId && typeof client === "string" && client && client.length <= 64 && Number.isSafeInteger(seq);
		let last = 0;
		const follows = ({ type, data, seq: own }) => {
			const fits = COUNTED.has(type) && Number.isSafeInteger(own) && own > last && own <= seq;
			last = own;
			return fits && Object.values(data).every(Number.isSafeInteger) && (type !== "upgrade_buy" || "id" in data);
		};
		if (!isWhole || waiting.length > SEQ_WINDOW || !waiting.every(follows)) return null;
		return { client, seq, waiting: waiting.map(({ type, data, seq: own }) => ({ type, data: { ...data }, seq: own })) };
	} catch {
		return null;
	}
}

export class Core {
	out = [];
	/** The newest state that the server told, null before the first `session`. */
	state = null;
	/** The access token of the requests to come, null while another is needed. */
	token = null;
	joined = false;
	/** Defaults; options of the same names replace them. */
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
	#phase = "idle";
	#reason = null;
	#offline = false;
	#attempt = 0;
	#retryMs = 0;
	#openedMs = 0;
	#heardMs = 0;
	/** When something must have been heard, if anything is owed. */
	#hearByMs = 0;
	#notBeforeMs = -Infinity;
	#refreshing = false;
	#refreshMs = -Infinity;
	#refusedToken = null;
	#refusedTokens = 0;
	#policyCloses = 0;
	#appliedSeq = 0;
	#lastId = 0;

	/** @param {{client: string, seq?: number, waiting?: object[]}} options and any of the defaults above */
	constructor({ client, seq = 0, waiting = [], ...options }) {
		Object.assign(this, options, { client, seq });
		const again = { again: true, lost: true };
		this.#queue = waiting.map((entry) => ({ ...entryOf(entry.type, entry.data, entry.seq, null), ...again }));
	}

	/** What the next page or process needs to go on with this conversation. */
	kept() {
		const waiting = this.#counted.map(({ type, data, seq }) => ({ type, data, seq }));
		return { client: this.client, seq: this.seq, waiting };
	}

	/** What no answer has shown yet, oldest first: changes, and the owner's reads. */
	get unanswered() {
		return this.#owned.filter(({ applied }) => !applied);
	}

	/** How many requests were sent once, and have to be, or are being, sent again. */
	get toResend() {
		return this.#counted.filter(({ again }) => again).length;
	}

	/** The state with the unanswered requests applied; those that the rules refuse are left out. */
	get optimistic() {
		return this.state && this.unanswered.reduce((now, { type, data }) => apply(now, type, data) ?? now, this.state);
	}

	/** `retryMs` is when the next attempt is due, while `waiting`. */
	get status() {
		const name = this.#name;
		return { name, reason: name === "waiting" || name === "ended" ? this.#reason : null, retryMs: name === "waiting" ? this.#retryMs : null };
	}

	/** Whether one more request may be made; a read needs no number. */
	hasRoom(type = "cook") {
		const [oldest] = this.#counted;
		const fits = !COUNTED.has(type) || !oldest || this.seq + 1 - oldest.seq < SEQ_WINDOW;
		return fits && this.#phase !== "ended" && this.#owned.length < this.mostUnanswered;
	}

	/** True while a request of this type has no answer yet. */
	awaits(type) {
		return this.#queue.some((entry) => entry.type === type);
	}

	/** When the next `time` is due, null when only another input can change anything. */
	get wakeMs() {
		if (this.#phase === "idle" || this.#phase === "ended") return null;
		const open = this.#phase === "open";
		const times = [];
		if (!this.#refreshing) times.push(this.#refreshMs);
		if (this.#phase === "waiting" && !this.#offline && this.token !== null) times.push(this.#retryMs);
		if (this.#inFlight || this.#phase === "connecting") times.push(this.#hearByMs);
		else if (this.joined) times.push(this.#heardMs + this.probeAfterMs);
		if (open && this.token !== null && !this.#inFlight && this.#queue.length) times.push(this.#notBeforeMs);
		const wakeMs = Math.min(...times);
		return wakeMs < Infinity ? wakeMs : null;
	}

	start(nowMs) {
		this.#phase = "waiting";
		this.#retryMs = nowMs;
		this.time(nowMs);
	}

	/** @param token.ageMs since it came: this machine's clock may differ from the server's */
	tokens({ access, lifeMs, ageMs = 0 }, nowMs) {
		this.token = access;
		this.#refusedToken = null;
		this.#refreshing = false;
		this.#refreshMs = nowMs - ageMs + RENEW_AFTER * lifeMs;
		this.time(nowMs);
	}

	/** A renewal failed; `final` where the server knows the log-in no more. */
	noTokens({ final, retryAfterMs = 0 }, nowMs) {
		this.#refreshing = false;
		this.#refreshMs = nowMs + this.#spread(Math.max(this.renewAgainMs, retryAfterMs));
		if (final) this.#end(this.#reason === "revoked" ? "revoked" : "logged_out");
		this.time(nowMs);
	}

	/** A socket has opened: the first frame on it will be a `session`. */
	opened(nowMs) {
		if (this.#phase !== "connecting") return;
		this.#phase = "open";
		this.#openedMs = nowMs;
		this.#notBeforeMs = -Infinity;
		this.#hear(nowMs);
		this.#greet();
		this.time(nowMs);
	}

	/** The socket is gone, or none came: 1006. What had no answer waits for the next one. */
	closed(code, nowMs) {
		if (this.#phase !== "open" && this.#phase !== "connecting") return;
		const reason = REASONS[code] ?? "broken";
		if (this.#phase === "open" && nowMs - this.#openedMs >= this.stableMs) this.#attempt = 0;
		for (const entry of this.#queue) {
			entry.lost ||= entry.id !== null;
			this.#sendAgain(entry);
		}
		this.#queue = this.#owned;
		this.joined = false;
		this.#phase = "waiting";
		this.#reason = reason;
		if (reason === "slow_reader") this.mostUnanswered = Math.max(1, this.mostUnanswered >> 1);
		if (reason === "revoked") this.#refuseToken();
		if (reason === FAULT || (reason === "policy" && ++this.#policyCloses === TRIES)) this.#end(reason);
		const baseMs = this.retryFirstMs * (PACE[reason] ?? 1) * 2 ** this.#attempt++;
		const waitMs = Math.min(baseMs, this.retryMostMs) * (0.3 + 0.7 * this.random());
		this.#retryMs = nowMs + (reason === "crowded" ? this.crowdedMs * (1 + this.random()) : waitMs);
		this.time(nowMs);
	}

	/** Takes one message of the server. */
	message({ request_id: id, request_type: type, data }, nowMs) {
		if (this.#phase !== "open") return;
		this.#hear(nowMs);
		const entry = this.#queue.find((each) => each.id === id);
		if (entry && type === "error") this.#refused(entry, data, nowMs);
		else if (entry) this.#answered(entry, data);
		else if (id === "" && type !== "error") {
			this.state = merge(this.state, type, data);
			this.#do("push", { type, data });
		}
		this.time(nowMs);
	}

	/** A request of the owner; `full` where there is no room. */
	call(call, type, data, nowMs) {
		if (!this.hasRoom(type)) return this.#do("full", { call });
		this.#queue.push(entryOf(type, data, COUNTED.has(type) ? ++this.seq : 0, call));
		this.time(nowMs);
	}

	/** The network went (`offline`) or came (`online`), or this machine or page slept (`resumed`). */
	network(state, nowMs) {
		this.#offline = state === "offline";
		if (!this.#offline && this.#phase === "waiting") {
			this.#attempt = 0;
			this.#retryMs = nowMs;
		}
		if (!this.#offline && this.#phase === "open") {
			if (this.joined && !this.#inFlight) this.#probe();
			this.#write(nowMs);
			this.#hearByMs = nowMs + this.probeTimeoutMs;
		}
		this.time(nowMs);
	}

	stop() {
		this.#end("stopped");
	}

	/** Does what is due. */
	time(nowMs) {
		if (this.#phase === "idle" || this.#phase === "ended") return;
		if (!this.#refreshing && nowMs >= this.#refreshMs) {
			this.#refreshing = true;
			this.#do("refresh", { refused: this.#refusedToken });
		}
		const owed = this.#inFlight || this.#phase === "connecting";
		if (owed && nowMs >= this.#hearByMs) {
			this.#do("drop");
			return this.closed(1006, nowMs);
		}
		if (this.#phase === "waiting" && this.token !== null && !this.#offline && nowMs >= this.#retryMs) {
			this.#phase = "connecting";
			this.#hear(nowMs);
			this.#do("connect");
		}
		if (this.joined && !this.#inFlight && nowMs >= this.#heardMs + this.probeAfterMs) this.#probe();
		this.#write(nowMs);
	}

	get #name() {
		if (this.#phase === "ended") return "ended";
		if (this.joined) return "joined";
		if (this.#phase === "idle") return "logged_out";
		if (this.#phase === "waiting" && this.#offline) return "offline";
		return this.#phase === "waiting" && this.#reason ? "waiting" : "connecting";
	}

	get #inFlight() {
		return this.#queue.some(({ id }) => id !== null);
	}

	get #counted() {
		return this.#queue.filter(({ seq }) => seq > 0);
	}

	/** All but the core's own greeting and probe. */
	get #owned() {
		return this.#queue.filter(({ own }) => !own);
	}

	#do(what, fields) {
		this.out.push({ do: what, ...fields });
	}

	#spread(waitMs) {
		return waitMs * (1 + 0.2 * this.random());
	}

	#hear(nowMs) {
		this.#heardMs = nowMs;
		this.#hearByMs = nowMs + this.answerTimeoutMs;
	}

	#greet() {
		this.#queue.unshift({ ...entryOf("session", {}, 0), own: true });
	}

	#probe() {
		if (!this.awaits("level_check")) this.#queue.push({ ...entryOf("level_check", {}, 0), own: true });
	}

	#write(nowMs) {
		if (this.#phase !== "open" || this.token === null || nowMs < this.#notBeforeMs) return;
		const sendable = this.joined ? this.#queue : this.#queue.slice(0, 1);
		const waiting = sendable.filter(({ id }) => id === null);
		// What is sent again keeps its place: nothing that is in flight may come after it.
		if (!waiting.length || (this.#inFlight && waiting.some(({ again }) => again))) return;
		if (!this.#inFlight) this.#hearByMs = nowMs + this.answerTimeoutMs;
		for (const entry of waiting) {
			entry.id = String(++this.#lastId);
			entry.token = this.token;
			const data = { token: this.token, ...entry.data };
			if (entry.seq || entry.type === "session") data.client = this.client;
			if (entry.seq) data.seq = entry.seq;
			this.#do("send", { id: entry.id, type: entry.type, data });
		}
	}

	#answered(entry, data) {
		this.#drop(entry);
		this.#refusedTokens = this.#policyCloses = 0;
		this.state = merge(this.state, entry.type, data);
		// A level_up without enough xp is not remembered by the server.
		if (entry.seq && entry.type !== "level_up") this.#appliedSeq = Math.max(this.#appliedSeq, entry.seq);
		if (entry.type === "session") this.#knows(data);
		if (entry.call !== undefined) this.#do("settle", { call: entry.call, data });
		if (entry.own && entry.type === "session") this.#do("joined", { data });
	}

	#knows({ last_seq: lastSeq = 0 }) {
		this.joined = true;
		if (lastSeq < this.#appliedSeq) this.#do("lost", { count: this.#appliedSeq - lastSeq });
		this.#appliedSeq = Math.min(this.#appliedSeq, lastSeq);
		this.seq = Math.max(this.seq, lastSeq);
		for (const each of this.#counted) each.applied ||= each.lost && each.seq <= lastSeq;
		// A number that was never sent and is known all the same was used by another page of this tab.
		const unsent = this.#counted.filter(({ again, id }) => !again && id === null);
		if (unsent[0]?.seq <= lastSeq) for (const each of unsent) each.seq = ++this.seq;
	}

	#refused(entry, data, nowMs) {
		this.#sendAgain(entry);
		switch (data.code) {
			case "token_invalid":
			case "missing_token":
				if (entry.token !== this.token) return;
				this.#refuseToken();
				if (++this.#refusedTokens === TRIES) this.#end("logged_out");
				return;
			case "rate_limited":
			case "unavailable":
				this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + this.#spread(Math.max(PAUSE_MS, data.retry_after_ms ?? 0)));
				return;
			case "session_required":
				this.joined = false;
				if (this.#queue[0].type !== "session") this.#greet();
				return;
			default:
				this.#drop(entry);
				this.#refusedTokens = 0;
				if (entry.call !== undefined) this.#do("refuse", { call: entry.call, type: entry.type, code: data.code, data });
				else if (entry.type === "session") this.#end(FAULT);
		}
	}

	#refuseToken() {
		this.#refusedToken = this.token ?? this.#refusedToken;
		this.token = null;
		if (!this.#refreshing) this.#refreshMs = -Infinity;
	}

	#sendAgain(entry) {
		entry.again ||= entry.id !== null;
		entry.id = null;
	}

	#drop(entry) {
		this.#queue.splice(this.#queue.indexOf(entry), 1);
	}

	#end(reason) {
		if (this.#phase === "ended") return;
		if (this.#phase === "open" || this.#phase === "connecting") this.#do("close");
		const unsent = this.#owned.map(({ call, type, data, seq, again, id }) => {
			return { call, type, data, seq: seq || null, maybeApplied: seq > 0 && (again || id !== null) };
		});
		this.#do("end", { reason, unsent });
		this.#phase = "ended";
		this.#reason = reason;
		this.joined = false;
		this.#queue = [];
	}
}
