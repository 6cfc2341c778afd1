/**
 * What a purchase and a reset are worth, on top of the client library's rules of what a request brings. Pure.
 *
 * The library's path is the repository's; a browser takes it from the root of the server, above which there is nothing.
 */

import { boostSums, halfUp, hundredths } from "../../clients/js/lib/rules.js";

export { apply, boostSums, gameRates, halfUp, hundredths, MOST_AT_ONCE, onSale, ownsDish, price, purchases, rates } from "../../clients/js/lib/rules.js";

const MULTIPLIERS = new Set(["dM", "mM", "dpM", "mpM"]);
/** A cook makes one dish, and a sale sells one, before anything is bought. */
const BY_HAND = new Set(["dPc", "sPs"]);

/** What a reset would bring. */
export function resetPreview({ stars, accumulated, boost }) {
	const after = halfUp(stars * 1e4) + halfUp(accumulated * 1e4);
	return { stars: after / 1e4, boost: (halfUp(boost * 10) + 10 + halfUp(after / 2e4)) / 10 };
}

/** One boost type before and after one more purchase, for people: a multiplier, a cook and a sale start at 1. */
export function boostStep(game, { boost: { boost_type: type, value } }) {
	const owned = boostSums(game)[type];
	const multiplier = MULTIPLIERS.has(type);
	const base = BY_HAND.has(type) ? 100 : 0;
	const before = base + (owned || (multiplier ? 100 : 0));
	return { before: before / 100, after: (base + owned + hundredths(value)) / 100, multiplier };
}
