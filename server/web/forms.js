/** Forms of the dialog: labelled fields, one button, and what was refused. */

import { el, write } from "./dom.js";
import { refusalText } from "./refusals.js";
import { makeSure } from "./sure.js";
import { say } from "./texts.js";

/** The fields by the names of their texts. */
const FIELDS = {
	email: { name: "email", type: "email", autocomplete: "username" },
	password: { name: "password", type: "password", autocomplete: "current-password", maxLength: 72 },
	newPassword: { name: "newPassword", type: "password", autocomplete: "new-password", minLength: 8, maxLength: 72 },
};

/**
 * A form.
 *
 * @param {string} submit the key of the button's text
 * @param {string[]} fields keys of FIELDS
 * @param {(values: object) => Promise<object | null>} act gives null, or what refusalText takes
 * @param {() => void} done
 */
export function form(submit, fields, act, done) {
	const inputs = fields.map((field) => el("input", { required: true, ...FIELDS[field] }));
	const labels = fields.map((field, i) => el("label", {}, el("span", { textContent: say(field) }), inputs[i]));
	const why = el("p", { role: "alert" });
	const button = el("button", { className: "primary", textContent: say(submit) });
	const made = el("form", {}, ...labels, why, button);
	let busy = false;
	made.oninput = () => write(why, "");
	made.onsubmit = async (event) => {
		event.preventDefault();
		// The button is never disabled: the focus would fall out of the dialog.
		if (busy) return;
		busy = true;
		const values = Object.fromEntries(inputs.map(({ name, value }) => [name, name === "email" ? value.trim() : value]));
		const refusal = await act(values).catch(() => ({}));
		busy = false;
		if (refusal) write(why, refusalText(refusal, "wrongPassword"));
		else done(values);
	};
	return made;
}

/** A part that is opened when wanted. */
export const part = (title, ...children) => el("details", { name: "part" }, el("summary", { textContent: say(title) }), ...children);

/** A button for what cannot be taken back: `text` is its key; `title`, `about` and `sure` those of what is asked first. */
export function asking(text, { title, about, sure }, act) {
	const button = el("button", { type: "button", className: "plain", textContent: say(text) });
	button.onclick = () => makeSure(title, sure, act, el("p", { textContent: say(about) }));
	return button;
}
