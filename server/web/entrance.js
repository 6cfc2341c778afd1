/** Registering and logging in. */

import { byId, write } from "./dom.js";
import { span } from "./numbers.js";
import { say, spoken } from "./texts.js";

export class Entrance {
	#registers = true;
	#form = document.querySelector("#entrance form");

	/** @param {() => void} onEntered the account holds tokens now */
	constructor(account, onEntered) {
		const [submit, other] = this.#form.querySelectorAll("button");
		other.onclick = () => this.show({ registers: !this.#registers });
		this.#form.onsubmit = async (event) => {
			event.preventDefault();
			submit.disabled = true;
			const path = this.#registers ? "/reg" : "/auth";
			const { email, password } = this.#form.elements;
			const refusal = await account.enter(path, email.value.trim(), password.value).catch(() => ({}));
			submit.disabled = false;
			write(byId("entrance-why"), refusal ? refusalText(refusal) : "");
			if (refusal) return;
			this.#form.reset();
			onEntered();
		};
	}

	/** Shows the form; `why` is the key of a text that says why. */
	show({ registers = this.#registers, why } = {}) {
		this.#registers = registers;
		const [submit, other] = this.#form.querySelectorAll("button");
		const title = registers ? "register" : "logIn";
		write(byId("entrance-title"), say(title));
		write(submit, say(title));
		write(other, say(registers ? "haveAccount" : "noAccount"));
		const { password } = this.#form.elements;
		password.autocomplete = registers ? "new-password" : "current-password";
		password.minLength = registers ? 8 : 0;
		byId("password-rule").hidden = !registers;
		write(byId("entrance-why"), why ? say(why) : "");
	}
}

/** What to tell about a refusal of the account's HTTP side. */
function refusalText({ status, message, retryAfterS }) {
	const texts = { 1: "wrongLogIn", 2: "badValue", 3: "emailTaken", 4: "slowDown", 5: "badValue" };
	return say(texts[status] ?? "noServer", status === 4 ? span(retryAfterS, spoken()) : message);
}
