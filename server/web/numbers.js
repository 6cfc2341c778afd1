/** Numbers and times as people read them. Pure. */

const UNITS = { en: ["M", "B", "T"], ru: ["млн", "млрд", "трлн"] };
/** The formats by language and decimals: to make one takes longer than to use it a hundred times. */
const FORMATS = new Map();

/**
 * A number for a player: whole up to a million (1,250), then with a unit (1.25 M), from 10^15 on scientific
 * (1.25e15). Cut, not rounded: nobody sees more than there is.
 *
 * @param {number} value not negative
 * @param {string} language `en` or `ru`
 * @param {number} [places] decimals shown below a thousand
 * @param {number} [placesOfThousands] those below a million
 * @param {number} [placesOfUnits] those behind which a unit stands
 */
export function readable(value, language, places = 0, placesOfThousands = 0, placesOfUnits = 2) {
	const show = (x, digits) => {
		const cut = Math.trunc(Number((x * 10 ** digits).toPrecision(15))) / 10 ** digits;
		return format(language, digits).format(cut);
	};
	if (value < 1e6) return show(value, value < 1000 ? places : placesOfThousands);
	const [mantissa, exponent] = value.toExponential().split("e+");
	const thousands = Math.floor(exponent / 3);
	if (thousands < 5) return `${show(value / 1000 ** thousands, placesOfUnits)}\u00a0${UNITS[language][thousands - 2]}`;
	// No superscripts: fonts have them in two sizes.
	return `${show(Number(mantissa), placesOfUnits)}e${exponent}`;
}

/** A number among others that it is compared with, or is the sum of: with its decimals up to a million. */
export const precise = (value, language, places = 2) => readable(value, language, places, places);

/** More decimals of a unit are not shown: a double has no more. */
const MOST_PLACES = 12;

/**
 * What there is before and after: each with as many decimals as it takes to tell them apart.
 *
 * @returns {[string, string]}
 */
export function step(before, after, language, places = 2) {
	for (let placesOfUnits = 2; ; placesOfUnits++) {
		const [from, to] = [before, after].map((value) => readable(value, language, places, places, placesOfUnits));
		if (from !== to || before === after || placesOfUnits === MOST_PLACES) return [from, to];
	}
}

function format(language, digits) {
	const key = language + digits;
	if (!FORMATS.has(key)) FORMATS.set(key, new Intl.NumberFormat(language, { maximumFractionDigits: digits }));
	return FORMATS.get(key);
}

const TIME_UNITS = [[86400, "d", "д"], [3600, "h", "ч"], [60, "min", "мин"], [1, "s", "с"]];

/** A span of time in its two largest units: `2 h 5 min`. Whole seconds in, at least one second out. */
export function span(seconds, language) {
	const parts = [];
	let rest = Math.max(1, Math.round(seconds));
	for (const [size, en, ru] of TIME_UNITS) {
		if (rest >= size) parts.push(`${Math.floor(rest / size)}\u00a0${language === "ru" ? ru : en}`);
		else if (parts.length) break;
		rest %= size;
	}
	return parts.slice(0, 2).join(" ");
}
