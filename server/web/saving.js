/**
 * Whether what the player did is kept: what the page says of that without asking all the time. Pure.
 *
 * An answer comes once Redis holds the change, on disk; PostgreSQL has it about a second later. So what is answered is
 * kept, unless PostgreSQL turns out to be behind. That is asked for a change that had its time, and again until it has
 * caught up.
 */

const ASK_AFTER_MS = 30_000;
const ASK_AGAIN_MS = 10_000;
/** So long PostgreSQL may take, and an answer. */
const SAVED_WITHIN_MS = 10_000;
const ANSWER_MS = 1_500;

export class Saving {
	/** The oldest change of this tab that PostgreSQL is not known to have. */
	#oldest = null;
	#newest = null;
	#saved = 0;
	#behind = false;
	#askedMs = -Infinity;
	#quietMs = -Infinity;

	/** A change was answered: the game has this version. */
	changed(version, nowMs) {
		this.#quietMs = nowMs;
		this.#newest = { version, sinceMs: nowMs };
		if (version > this.#saved) this.#oldest ??= this.#newest;
	}

	/** The server said which version PostgreSQL has, in the answer to a question or before one was due. */
	told(saved) {
		this.#saved = Math.max(saved, this.#saved);
		if (this.#saved >= this.#oldest?.version) this.#oldest = this.#newest.version > this.#saved ? this.#newest : null;
		this.#behind = this.#askedMs > this.#oldest?.sinceMs + SAVED_WITHIN_MS;
	}

	/** Whether to ask now; counts as asked. */
	asks(nowMs) {
		const dueMs = Math.max((this.#oldest?.sinceMs ?? Infinity) + ASK_AFTER_MS, this.#askedMs + ASK_AGAIN_MS);
		if (nowMs < dueMs) return false;
		this.#askedMs = nowMs;
		return true;
	}

	/** Whether all is kept; `waiting` is how many changes have no answer yet. */
	isSafe(waiting, nowMs) {
		if (!waiting) this.#quietMs = nowMs;
		return !this.#behind && nowMs - this.#quietMs < ANSWER_MS;
	}
}
