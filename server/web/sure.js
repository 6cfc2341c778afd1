/** Asks before something ends for good: the button that does it stands elsewhere, and works after a pause. */

import { closeDialog, el, openDialog } from "./dom.js";
import { say } from "./texts.js";

/** So long the second button does nothing: a double-click, or a key held down, is over by then. */
const PAUSE_MS = 2500;

/**
 * Shows in the dialog what will happen.
 *
 * @param {string} title the key of the dialog's title
 * @param {string} sure the key of the second button's text
 * @param {() => void} act called once
 * @param {...Node} about what is lost and kept
 */
export function makeSure(title, sure, act, ...about) {
	const back = el("button", { className: "primary", textContent: say("goBack"), onclick: closeDialog });
	const go = el("button", { className: "sure", textContent: say(sure), ariaDisabled: true });
	go.append(el("i"));
	// By key too: the focus stays where it is, and nothing is pressed before its time.
	setTimeout(() => (go.ariaDisabled = false), PAUSE_MS);
	go.onclick = () => {
		if (go.ariaDisabled === "true") return;
		go.ariaDisabled = true;
		act();
	};
	// First in the dialog, at its other side: what was pressed before stood last.
	openDialog(title, el("p", { className: "sure-row" }, go), ...about, back);
}
