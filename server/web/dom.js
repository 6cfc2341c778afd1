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

const TOASTS = 3;
const TOAST_MS = 4000;
/** Long texts stay until they are read. */
const TOAST_MS_A_CHARACTER = 70;

/** A short message over the page, gone by itself. One that stands there is counted; of more than three the oldest goes. */
export function toast(text, name = "bell") {
	const toasts = byId("toasts");
	const standing = [...toasts.children].find(({ dataset }) => dataset.text === text);
	const node = standing ?? el("p", { className: "toast" }, icon(name), el("span"), el("b"));
	const times = Number(node.dataset.times ?? 0) + 1;
	Object.assign(node.dataset, { text, times });
	write(node.children[1], text);
	write(node.lastChild, times > 1 ? `×${times}` : "");
	if (!standing) {
		toasts.append(node);
		announce(text);
	}
	if (toasts.children.length > TOASTS) toasts.firstChild.remove();
	clearTimeout(leaving.get(node));
	leaving.set(node, setTimeout(() => node.remove(), Math.max(TOAST_MS, TOAST_MS_A_CHARACTER * text.length)));
}

/** When each toast goes. */
const leaving = new WeakMap();

/** Lets the element shake its head. */
export function refuse(node) {
	if (!calm.matches) node.animate({ translate: ["-5px", "5px", "-3px", "0px"] }, 220);
}

let opener = null;

/** Shows the page's one dialog under the title of that key. */
export function openDialog(title, ...children) {
	const dialog = byId("dialog");
	const held = byId("dialog-body").contains(document.activeElement);
	byId("dialog-title").textContent = say(title);
	byId("dialog-body").replaceChildren(...children);
	dialog.dataset.shows = title;
	// What had the focus is gone: it must not fall out of the dialog.
	if (dialog.open && held) byId("dialog-title").focus();
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
