/** The dialog of the account: who one is, and how one leaves; a guest is asked to keep the kitchen. */

import { closeDialog, el, openDialog, toast } from "./dom.js";
import { asking, form, part } from "./forms.js";
import { soundsAreOn, switchSounds } from "./hearing.js";
import { keysAreOn, switchKeys } from "./keys.js";
import { say } from "./texts.js";

const words = (tag, textContent) => el(tag, { textContent });

export class AccountDialog {
	/**
	 * @param account the HTTP side
	 * @param table `game` gives the game as it looks now; `nameForm` the form of the kitchen's name; `leave` logs out, here
	 *   or everywhere; `gone` is called when the account is no more
	 */
	constructor(account, table) {
		Object.assign(this, { account, table });
	}

	open() {
		const { email } = this.table.game();
		const isGuest = email === "";
		const who = isGuest ? [words("p", say("guestText")), this.#claimForm()] : [words("p", email), ...this.#changes()];
		const name = part("kitchenName", this.table.nameForm(() => this.open()));
		const out = isGuest ? this.#leaveGuest() : this.#logOut();
		openDialog("account", ...who, name, ...this.#choices(), this.#export(), out, isGuest ? "" : this.#everywhere(), this.#delete(isGuest));
	}

	/** Asks a guest for an e-mail and a password, and nothing else. */
	claim() {
		openDialog("claim", words("p", say("guestText")), this.#claimForm());
	}

	#claimForm() {
		const claim = ({ email, newPassword }) => this.account.change("/claim", { email, password: newPassword });
		return form("claim", ["email", "newPassword"], claim, ({ email }) => {
			this.account.isKnown = true;
			closeDialog();
			toast(say("claimed", email), "tick");
		});
	}

	#changes() {
		const { account } = this;
		const changed = () => {
			closeDialog();
			toast(say("changed"), "tick");
		};
		const toEmail = ({ password, email }) => account.change("/email", { password, email });
		const toPassword = ({ password, newPassword }) => account.change("/password", { password, new_password: newPassword });
		return [
			part("newEmail", form("setName", ["email", "password"], toEmail, changed)),
			part("newPassword", form("setName", ["password", "newPassword"], toPassword, changed)),
		];
	}

	#choices() {
		const choice = (text, isOn, set) => {
			const box = el("input", { type: "checkbox", name: text, checked: isOn });
			box.onchange = () => set(box.checked);
			return el("label", { className: `row ${text}-choice` }, say(text), box);
		};
		return [choice("sounds", soundsAreOn(), switchSounds), choice("keys", keysAreOn(), switchKeys)];
	}

	#export() {
		const button = el("button", { className: "plain", textContent: say("export") });
		button.onclick = async () => {
			try {
				const file = new Blob([await this.account.export()], { type: "application/json" });
				const link = el("a", { href: URL.createObjectURL(file), download: "click-and-cook.json" });
				link.click();
				setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
			} catch {
				toast(say("noServer"));
			}
		};
		return button;
	}

	#leaveGuest() {
		const words = { title: "leaveGuest", about: "leaveGuestText", sure: "leaveGuestSure" };
		return asking("leaveGuest", words, () => this.table.leave());
	}

	#logOut() {
		const out = el("button", { className: "primary log-out", textContent: say("logOut") });
		out.onclick = () => this.table.leave();
		return out;
	}

	#everywhere() {
		const words = { title: "logOutEverywhere", about: "everywhereText", sure: "logOutEverywhereSure" };
		return asking("logOutEverywhere", words, () => this.table.leave(true));
	}

	#delete(isGuest) {
		const remove = ({ password }) => this.account.delete(password);
		// Also where the closed connection was quicker and has left the game: this is the reason.
		const gone = () => this.table.gone();
		return part("delete", words("p", say("deleteText")), form("deleteSure", isGuest ? [] : ["password"], remove, gone));
	}
}
