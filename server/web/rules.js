/**
 * What a purchase and a reset are worth, on top of the client library's rules of what a request brings. Pure.
 *
 * The library's path is the repository's; a browser takes it from the root of the server, above which there is nothing.
 */

import { boostSums, gameRates, halfUp, hundredths, onSale, price, rates } from "../../clients/js/lib/rules.js";

export { apply, boostSums, gameRates, MOST_AT_ONCE, onSale, ownsDish, price, purchases, rates } from "../../clients/js/lib/rules.js";

const MULTIPLIERS = new Set(["dM", "mM", "dpM", "mpM"]);
/** A cook makes one dish, and a sale sells one, before anything is bought. */
const BY_HAND = new Set(["dPc", "sPs"]);
/** The pace that an estimate assumes, in clicks a second. */
const CLICKS_PER_S = 4;

/** What a reset would bring. */
export function resetPreview({ stars, accumulated, boost }) {
	const after = halfUp(stars * 1e4) + halfUp(accumulated * 1e4);
	return { stars: after / 1e4, boost: (halfUp(boost * 10) + 10 + halfUp(after / 2e4)) / 10 };
}

/** Money a second at the usual pace, its clicks split as pays best. Passive sales take their dishes first. */
export function incomePerS({ cookGain, soldAtOnce, moneyFor, dishesPerS, passiveMoneyFor }) {
	const passive = passiveMoneyFor(soldAtOnce);
	let best = 0;
	for (let sells = 0; sells <= CLICKS_PER_S; sells += CLICKS_PER_S / 20) {
		const cooked = (CLICKS_PER_S - sells) * cookGain + dishesPerS;
		const byItself = passive > 0 ? Math.min(soldAtOnce, cooked) : 0;
		const byHand = Math.min(sells * soldAtOnce, cooked - byItself);
		best = Math.max(best, (byHand * moneyFor(soldAtOnce) + byItself * passive) / soldAtOnce);
	}
	return best;
}

/**
 * The upgrade that has paid for itself soonest, counted from now: the wait for its price, and the time in which it
 * earns that back. Null when nothing that may be bought raises the income.
 *
 * @returns {{id: number, seconds: number} | null}
 */
export function soonestPaidBack(game) {
	const sums = boostSums(game);
	const income = (boosts) => incomePerS(rates(boosts, game.boost));
	const now = income(sums);
	let best = null;
	for (const upgrade of game.upgrades.values()) {
		if (!onSale(upgrade) || upgrade.access_level > game.rank) continue;
		const { boost_type: type, value } = upgrade.boost;
		const gain = income({ ...sums, [type]: sums[type] + hundredths(value) }) - now;
		const cost = price(upgrade);
		const wait = cost > game.money ? (cost - game.money) / now : 0;
		const seconds = wait + cost / gain;
		// The pace is found in steps: a gain this small is their rounding.
		if (gain > now * 1e-9 && !(seconds >= best?.seconds)) best = { id: upgrade.id, seconds };
	}
	return best;
}

/** One boost type before and after one more purchase, for people: a multiplier, a cook and a sale start at 1. */
export function boostStep(game, { boost: { boost_type: type, value } }) {
	const owned = boostSums(game)[type];
	const multiplier = MULTIPLIERS.has(type);
	const base = BY_HAND.has(type) ? 100 : 0;
	const before = base + (owned || (multiplier ? 100 : 0));
	return { before: before / 100, after: (base + owned + hundredths(value)) / 100, multiplier };
}
