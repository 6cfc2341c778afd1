/** Small words for building and changing the page. */

import { icon } from "./drawings.js";
import { say } from "./texts.js";

export const byId = (id) => document.getElementById(id);
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A new element: its properties, then its children; strings become text. */
export function el(tag, properties, ...children) {
	const node = Object.assign(document.createElement(tag), properties);
	node.append(...children);
	return node;
}

/** Changes a text only where it differs: the page is not laid out again for nothing. */
export function write(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

/** Tells those who listen to the page. */
export const announce = (text) => write(byId("announcer"), text);

/** A short message over the page, gone by itself. */
export function toast(text, name = "bell") {
	const node = el("p", { className: "toast" }, icon(name), text);
	byId("toasts").append(node);
	announce(text);
	setTimeout(() => node.remove(), 4000);
}

/** Lets the element shake its head. */
export function refuse(node) {
	if (!calm.matches) node.animate({ translate: ["-5px", "5px", "-3px", "0px"] }, 220);
}

let opener = null;

/** Shows the page's one dialog under the title of that key. */
export function openDialog(title, ...children) {
	const dialog = byId("dialog");
	byId("dialog-title").textContent = say(title);
	byId("dialog-body").replaceChildren(...children);
	dialog.dataset.shows = title;
	if (dialog.open) return;
	opener = document.activeElement;
	dialog.showModal();
}

export const dialogShows = (title) => byId("dialog").open && byId("dialog").dataset.shows === title;
export const closeDialog = () => byId("dialog").close();

/** Lets the dialog be closed, and gives the focus back to where it was opened. */
export function setUpDialog() {
	byId("dialog-close").onclick = closeDialog;
	byId("dialog").onclick = ({ target }) => {
		if (target.id === "dialog") closeDialog();
	};
	byId("dialog").onclose = () => opener?.focus();
}
