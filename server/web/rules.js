/**
 * What purchases, seconds and a reset are worth, on top of the client library's rules of what a request brings. Pure.
 *
 * The library's path is the repository's; a browser takes it from the root of the server, above which there is nothing.
 */

import { boostSums, boostTenths, halfUp, hundredths, powerOf, priceAt, rates as clickRates } from "../../clients/js/lib/click-and-cook.js";

export { apply, boostSums, halfUp, hundredths, ownsDish, purchases } from "../../clients/js/lib/click-and-cook.js";

/** The most that one request may buy of an upgrade: as many as the money lasts. */
export const MOST_AT_ONCE = 1000;
const MULTIPLIERS = new Set(["dM", "mM", "dpM", "mpM"]);
/** A cook makes one dish, and a sale sells one, before anything is bought. */
const BY_HAND = new Set(["dPc", "sPs"]);

/** What clicks and seconds bring with these boosts; `boost` is that of the prestige. */
export function rates(sums, boost) {
	const { dPs, mPs, dpM, mpM } = sums;
	return {
		...clickRates(sums, boost),
		dishesPerS: Math.ceil((dPs * (dpM || 100)) / 1e4),
		passiveMoneyFor: (dishes) => Math.ceil((mPs * (mpM || 100) * boostTenths(boost) * dishes) / 1e5),
	};
}

export const gameRates = (game) => rates(boostSums(game), game.boost);

const prices = new WeakMap();

/** The price of the next purchase, computed once: an upgrade that is bought is replaced, never changed. */
export function price(upgrade) {
	if (!prices.has(upgrade)) prices.set(upgrade, priceAt(upgrade, powerOf(upgrade)));
	return prices.get(upgrade);
}

/** Whether the upgrade can still be bought, now or at a later rank. */
export const onSale = (upgrade) => upgrade.upgrade_type !== "dish" || upgrade.times_bought === 0;

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
