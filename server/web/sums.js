/** What each sum comes from: the hands, what was bought, the multipliers, the stars. Pure, but for the words. */

import { boostSums, gameRates } from "./rules.js";

/** The sums that a player lives on: boost type, its multiplier, and what there is before anything is bought. */
const SUMS = [
	{ key: "sumCook", type: "dPc", multiplier: "dM", base: 1 },
	{ key: "sumDish", type: "mPc", multiplier: "mM", base: 0, factor: true },
	{ key: "sumSell", type: "sPs", base: 1 },
	{ key: "sumChef", type: "dPs", multiplier: "dpM", base: 0 },
	{ key: "sumWaiter", type: "mPs", multiplier: "mpM", base: 0, factor: true },
];

/**
 * The sums of a game.
 *
 * @returns {{key: string, total: number, parts: {key: string, upgrade?: object, times?: number, value: number}[]}[]} `key`
 *   are those of texts; parts with `upgrade` name one, the others are of a kind
 */
export function sums(game) {
	const boosts = boostSums(game);
	const rates = gameRates(game);
	const totals = {
		sumCook: rates.cookGain,
		sumDish: (boosts.mPc * (boosts.mM || 100) * (game.boost || 1)) / 1e4,
		sumSell: rates.soldAtOnce,
		sumChef: rates.dishesPerS,
		sumWaiter: (boosts.mPs * (boosts.mpM || 100) * (game.boost || 1)) / 1e4,
	};
	return SUMS.map(({ key, type, multiplier, base, factor }) => {
		const parts = base ? [{ key: "byHand", value: base }] : [];
		parts.push(...bought(game, type));
		if (parts.length && boosts[multiplier]) parts.push({ key: "timesIdeas", value: boosts[multiplier] / 100 });
		if (parts.length && factor && game.boost > 0) parts.push({ key: "timesStars", value: game.boost });
		return { key, total: totals[key], parts };
	});
}

/** What was bought of one boost type: dishes together, all else by name. */
function bought({ upgrades }, type) {
	const parts = [];
	const dishes = { key: "yourDishes", times: 0, value: 0 };
	for (const upgrade of upgrades.values()) {
		const { boost, times_bought: times, upgrade_type: shelf } = upgrade;
		if (boost.boost_type !== type || !times) continue;
		const value = boost.value * times;
		if (shelf !== "dish") parts.push({ key: "yourUpgrade", upgrade, times, value });
		else {
			dishes.times += 1;
			dishes.value += value;
		}
	}
	return dishes.times ? [dishes, ...parts] : parts;
}
