/** Figures and times as people read them. */

import { tongue } from "./texts.js";

const known = (value) => value !== null && value !== undefined;
export const whole = (value) => (known(value) ? Math.round(value).toLocaleString(tongue()) : "—");
export const rate = (value) => (known(value) ? value.toLocaleString(tongue(), { maximumFractionDigits: value < 10 ? 1 : 0 }) : "—");
export const ms = (value) => (known(value) ? `${rate(value)} ms` : "—");
export const share = (value) => (known(value) ? `${whole(100 * value)} %` : "—");
export const mib = (bytes) => (known(bytes) ? `${whole(bytes / 2 ** 20)} MiB` : "—");

const UNITS = [[86400, "d", "д"], [3600, "h", "ч"], [60, "min", "мин"], [1, "s", "с"]];

/** A span of seconds in its largest unit. */
export function span(seconds) {
	const [size, en, ru] = UNITS.find(([unit]) => seconds >= unit) ?? UNITS.at(-1);
	return `${Math.floor(seconds / size)} ${tongue() === "ru" ? ru : en}`;
}

/** A moment: ISO text or ms of Unix time. */
export function moment(at) {
	if (!at) return "—";
	return new Date(at).toLocaleString(tongue(), { dateStyle: "medium", timeStyle: "medium" });
}
