/** The way in: at once as a guest, with an e-mail, or with a link for a forgotten password. */

import { byId, write } from "./dom.js";
import { refusalText } from "./refusals.js";
import { shared } from "./storage.js";
import { say } from "./texts.js";

/** By mode: the title and the main button, the route, the fields, the other ways, and what an error 401 means. */
const MODES = {
	guest: { title: "welcome", act: "cookNow", path: "/guest", fields: [], others: ["logIn", "register"] },
	register: { title: "register", path: "/reg", fields: ["email", "password"], others: ["guest", "logIn"] },
	logIn: { title: "logIn", path: "/auth", fields: ["email", "password"], others: ["guest", "register", "forgot"] },
	forgot: { title: "forgot", act: "sendLink", fields: ["email"], others: ["logIn"] },
	reset: { title: "newPassword", path: "/reset", fields: ["password"], others: ["forgot", "logIn"], wrong: "deadLink" },
};
const OTHERS = { guest: "cookNow", register: "noAccount", logIn: "haveAccount", forgot: "forgotPassword" };

export class Entrance {
	#form = document.querySelector("#entrance form");
	/** What the server offers, which it has written into the page: `guests`, `mail`. */
	#offers = document.querySelector("[name=offers]").content.split(" ");
	#mode;
	#link = "";
	/** Gives the words under the title in the language of the moment. */
	#why = () => "";
	#busy = false;

	/** @param {() => void} onEntered the account holds tokens now */
	constructor(account, onEntered) {
		Object.assign(this, { account, onEntered });
		this.#mode = this.first;
		this.#form.onsubmit = (event) => {
			event.preventDefault();
			this.#submit();
		};
		// A refusal stands until something is changed.
		this.#form.oninput = () => this.#tell(() => "");
	}

	/** Does what somebody who was quicker than the modules has pressed: see begin.js. */
	catchUp() {
		if (document.documentElement.dataset.pressed && this.#mode === "guest") this.#submit();
	}

	/** The form for somebody who comes: those who have been here log in, others may cook at once. */
	get first() {
		if (this.account.isKnown) return "logIn";
		return this.#offers.includes("guests") ? "guest" : "register";
	}

	/** Shows a form; `why` is the key of a text that says why, `link` the token of a link. */
	show({ mode = this.#mode, why, link } = {}) {
		if (link) this.#link = link;
		if (why || mode !== this.#mode) this.#why = () => (why ? say(why) : "");
		this.#mode = mode;
		const { title, act = title, fields, others } = MODES[mode];
		write(byId("entrance-title"), say(title));
		write(this.#form.querySelector(".primary"), say(act));
		for (const name of ["email", "password"]) {
			const input = this.#form.elements[name];
			input.disabled = input.parentElement.hidden = !fields.includes(name);
		}
		const isNew = mode === "register" || mode === "reset";
		const { password } = this.#form.elements;
		password.autocomplete = isNew ? "new-password" : "current-password";
		password.minLength = isNew ? 8 : 0;
		byId("password-rule").hidden = !isNew;
		byId("entrance-note").hidden = mode !== "guest";
		byId("keeps-nothing").hidden = shared.lasts;
		const offered = others.filter((other) => this.#offered(other));
		byId("other-ways").replaceChildren(...offered.map((other) => this.#way(other)));
		write(byId("entrance-why"), this.#why());
	}

	/** Gives the focus to what comes first. */
	focus() {
		this.#form.querySelector("input:not(:disabled), .primary").focus({ preventScroll: true });
	}

	#offered(mode) {
		const needs = { forgot: "mail", guest: "guests" }[mode];
		return !needs || this.#offers.includes(needs);
	}

	#way(mode) {
		const button = document.createElement("button");
		button.type = "button";
		button.className = "plain";
		button.textContent = say(OTHERS[mode]);
		button.dataset.mode = mode;
		button.onclick = () => {
			this.show({ mode });
			this.focus();
		};
		return button;
	}

	#tell(why) {
		this.#why = why;
		write(byId("entrance-why"), why());
	}

	// The button is never disabled: the focus would fall out of the form.
	async #submit() {
		if (this.#busy) return;
		this.#busy = true;
		const mode = this.#mode;
		const { email, password } = this.#form.elements;
		const fields = { email: email.value.trim(), password: password.value, token: this.#link };
		const names = mode === "reset" ? ["token", "password"] : MODES[mode].fields;
		const sent = Object.fromEntries(names.map((name) => [name, fields[name]]));
		const asked = mode === "forgot" ? this.account.forgot(sent.email) : this.account.enter(MODES[mode].path, sent);
		const refusal = await asked.catch(() => ({}));
		this.#busy = false;
		if (mode !== this.#mode) return;
		if (refusal) return this.#tell(() => refusalText(refusal, MODES[mode].wrong));
		if (mode === "forgot") return this.#tell(() => say("linkSent"));
		this.#tell(() => "");
		this.#form.reset();
		if (mode !== "guest") this.account.isKnown = true;
		this.onEntered();
	}
}
