/** What the account's HTTP side refuses, in the player's language. */

import { span } from "./numbers.js";
import { say, spoken } from "./texts.js";

/** The server's reasons for a value that is not acceptable, and the keys of their texts. */
const REASONS = [
	[/^email is longer/, "longEmail"],
	[/^email/, "badEmail"],
	[/shorter/, "shortPassword"],
	[/longer/, "longPassword"],
	[/common/, "commonPassword"],
	[/U\+0000/, "badPassword"],
];

/** A refusal as a text; `wrong` is the key for a wrong password or link. */
export function refusalText({ status, message = "", retryAfterMs, reason, until }, wrong = "wrongLogIn") {
	const waits = span(retryAfterMs / 1000 || 1, spoken());
	switch (status) {
		case 1:
			return say(wrong);
		case 2:
			return say("fillIn");
		case 3:
			return say("emailTaken");
		case 4:
			return say("slowDown", waits);
		case 5:
			return say(REASONS.find(([pattern]) => pattern.test(message))?.[1] ?? "badValue");
		case 6:
			return say("busy", waits);
		case 9:
			return say("claimedAlready");
		case 10:
			return say(until ? "suspendedUntil" : "suspended", reason ?? "", until && new Date(until).toLocaleString(spoken()));
		default:
			return say("noServer");
	}
}
