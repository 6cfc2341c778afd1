/** Who is playing: the account of the client library, in the words of the page's forms. */

import { Account as LogIn, AccountRefused, WebStore } from "../../clients/js/lib/click-and-cook.js";
import { shared } from "./storage.js";

/** Set where somebody with an e-mail has played: they want to log in, not to begin. */
const KNOWN = "click-and-cook.has-account";

export class Account {
	/** The pair of tokens that all tabs share, and the HTTP side. */
	logIn = new LogIn("", new WebStore(shared));

	/** @param {() => void} onChanged another tab logged in, out, or in as somebody else */
	constructor(onChanged) {
		const look = () => {
			const before = this.userId;
			this.logIn.reload();
			if (this.userId !== before) onChanged();
		};
		addEventListener("storage", look);
		// A page out of the browser's cache has missed what other tabs did.
		addEventListener("pageshow", ({ persisted }) => persisted && look());
	}

	/** The user's id, or undefined. */
	get userId() {
		return this.logIn.userId;
	}

	/** Whether somebody with an e-mail has played in this browser. */
	get isKnown() {
		return shared.get(KNOWN) !== null;
	}

	set isKnown(known) {
		if (!known) shared.remove(KNOWN);
		else if (!this.isKnown) shared.set(KNOWN, "1");
	}

	/** Gets a pair: `/guest`, `/reg`, `/auth`, `/reset`. Null on success, else `{status, message, retryAfterMs}`. */
	enter(path, fields) {
		return refusalOf(this.logIn.enter(path, fields));
	}

	/** Asks for a link by mail. Null on success, else the refusal. */
	forgot(email) {
		return refusalOf(this.logIn.send("POST", "/forgot", null, { email }));
	}

	/** `/claim`, `/email`, `/password`: the answer's pair replaces every older one, in all tabs. Null, or the refusal. */
	change(path, fields) {
		return refusalOf(this.logIn.change(path, fields));
	}

	/** Deletes the account; a guest has no password. Null, or the refusal. */
	delete(password) {
		return refusalOf(this.logIn.ask("DELETE", "/account", password ? { password } : {}));
	}

	/** All that the server keeps of the player, as text. */
	async export() {
		return JSON.stringify(await this.logIn.ask("GET", "/export"), null, "\t");
	}

	/** Ends the log-in here alone: the server ended it. */
	forget() {
		this.logIn.forget();
	}
}

/** Null on success, else the server's refusal. Throws where it did not say. */
async function refusalOf(done) {
	try {
		await done;
		return null;
	} catch (error) {
		if (error instanceof AccountRefused) return error;
		throw error;
	}
}
