/**
 * What to buy next: from the dishes in stock, the player's own pace, the wait for the money, and the xp. Pure.
 *
 * The simulated players follow the same rule (`scripts/simulate/advice.py`); a test compares both.
 */

import { boostSums, halfUp, hundredths, onSale, ownsDish, price, rates } from "./rules.js";

/** Dishes in stock count as sold evenly over so long. */
const STOCK_S = 600;
/** The pace of a player who has not shown one, and of one whose hands rest before anything comes by itself. */
const USUAL_CLICKS_PER_S = 4;
/** A purchase is made for its xp where it costs less than this part of what play for as much xp earns. */
const XP_WORTH = 0.5;
/** A gain of a smaller part of the income is a rounding. */
const LEAST_GAIN = 1e-9;
const MINUTE_MS = 60_000;
/** Clicks of a shorter time say nothing about a pace. */
const LEAST_MS = 10_000;
/** A stock that is sold sooner is not worth a sentence. */
const LARGE_STOCK_S = 120;

/** The player's pace over the last minute. Moments are in ms, of a clock that never goes back. */
export class Pace {
	#clicksMs = [];
	/** The first click ever, or the first after a minute without any. */
	#sinceMs = null;

	/** Counts one cook or sell. */
	count(nowMs) {
		this.#forget(nowMs);
		if (this.#clicksMs.length === 0) this.#sinceMs = nowMs;
		this.#clicksMs.push(nowMs);
	}

	/** Clicks a second, to the half, so that small changes do not change the advice; 0 after a minute of rest. */
	perS(nowMs) {
		this.#forget(nowMs);
		const seenMs = Math.min(MINUTE_MS, nowMs - this.#sinceMs);
		if (this.#sinceMs === null || seenMs < LEAST_MS) return USUAL_CLICKS_PER_S;
		return Math.round((2000 * this.#clicksMs.length) / seenMs) / 2;
	}

	#forget(nowMs) {
		const first = this.#clicksMs.findIndex((ms) => ms > nowMs - MINUTE_MS);
		this.#clicksMs.splice(0, first < 0 ? this.#clicksMs.length : first);
	}
}

/** The best steady money a second at a pace. Passive sales take their dishes first, a click cooks or sells. */
function incomePerS({ cookGain, soldAtOnce, moneyFor, dishesPerS, passiveMoneyFor }, clicksPerS, dishes, canCook) {
	const cooked = canCook ? cookGain : 0;
	const itself = passiveMoneyFor(soldAtOnce);
	const found = dishes / STOCK_S + dishesPerS;
	const taken = itself > 0 ? soldAtOnce : 0;
	const cooks = Math.min(clicksPerS, Math.max(0, (clicksPerS * soldAtOnce + taken - found) / (cooked + soldAtOnce)));
	const supply = found + cooks * cooked;
	const soldItself = Math.min(taken, supply);
	const sells = Math.min(clicksPerS - cooks, (supply - soldItself) / soldAtOnce);
	return sells * moneyFor(soldAtOnce) + (soldItself * itself) / soldAtOnce;
}

/** How long play at a pace takes for the xp of one purchase; 0 where there is none to gain, or its amount is not known. */
function secondsForXp({ need, stars }, { dPs, mPs }, clicksPerS) {
	if (!need) return 0;
	const parts = halfUp(stars * 1e4);
	const perS = clicksPerS * (100 + halfUp(parts / 2e3)) + halfUp(dPs / 5) + halfUp(mPs / 20);
	return perS > 0 ? (5 * need + halfUp(parts / 1e3)) / perS : 0;
}

/**
 * What to buy next. The cheapest upgrade that is worth its price for the xp alone; where none is, the one that has paid for
 * itself soonest, counted from now: the wait for its price, and the time in which it earns that back. Of equals the first on
 * the shelf. Null when nothing that may be bought raises the income, or is worth its xp.
 *
 * @returns {{id: number, waitS: number, seconds: number, xpS: number, stockS: number} | null} `seconds` from now, the wait
 *   included; `xpS`: how long play takes for as much xp, where that is the reason, else 0; `stockS`: how long the dishes in
 *   stock last when each click sells, Infinity when they last for good
 */
export function advise(game, clicksPerS) {
	const best = bestAt(game, clicksPerS);
	return best || clicksPerS > 0 ? best : bestAt(game, USUAL_CLICKS_PER_S);
}

function bestAt(game, clicksPerS) {
	const sums = boostSums(game);
	const canCook = ownsDish(game);
	const income = (boosts, cooks) => incomePerS(rates(boosts, game.boost), clicksPerS, game.dishes, cooks);
	const now = income(sums, canCook);
	const playS = secondsForXp(game, sums, clicksPerS);
	let best = null;
	for (const upgrade of game.upgrades.values()) {
		if (!onSale(upgrade) || upgrade.access_level > game.rank) continue;
		const { boost_type: type, value } = upgrade.boost;
		const after = { ...sums, [type]: sums[type] + hundredths(value) };
		const gain = income(after, canCook || upgrade.upgrade_type === "dish") - now;
		const cost = price(upgrade);
		const waitS = cost > game.money ? (cost - game.money) / now : 0;
		const seconds = waitS + (gain > now * LEAST_GAIN ? cost / gain : Infinity);
		const offer = { id: upgrade.id, waitS, seconds, xpS: cost < XP_WORTH * now * playS ? playS : 0, cost };
		if (isBetter(offer, best)) best = offer;
	}
	if (!best) return null;
	const { cost, ...advice } = best;
	return { ...advice, stockS: stockS(game, clicksPerS) };
}

function isBetter(offer, best) {
	if (offer.xpS > 0) return !best?.xpS || offer.cost < best.cost;
	return !best?.xpS && offer.seconds < (best?.seconds ?? Infinity);
}

function stockS(game, clicksPerS) {
	const { soldAtOnce, dishesPerS, passiveMoneyFor } = rates(boostSums(game), game.boost);
	const taken = passiveMoneyFor(soldAtOnce) > 0 ? soldAtOnce : 0;
	const lost = clicksPerS * soldAtOnce + taken - dishesPerS;
	if (lost > 0) return game.dishes / lost;
	return lost < 0 || game.dishes > 0 ? Infinity : 0;
}

/**
 * What to say of an advice: the keys of texts, and the seconds that each names. Where the best is to sell more at
 * once, a large stock is the reason, and comes first.
 *
 * @returns {{key: string, spans: number[]}[]}
 */
export function wordsFor({ waitS, seconds, xpS, stockS: lastsS }, { boost }) {
	if (xpS > 0) return [{ key: "worthItsXp", spans: [xpS] }];
	const words = waitS > 0 ? { key: "soonestSaved", spans: [waitS, seconds - waitS] } : { key: "soonest", spans: [seconds] };
	if (boost.boost_type !== "sPs" || lastsS < LARGE_STOCK_S) return [words];
	// To the minute: with seconds the sentence would change with each click.
	const stock = lastsS < Infinity ? { key: "stockLasts", spans: [60 * Math.round(lastsS / 60)] } : { key: "stockStays", spans: [] };
	return [stock, words];
}
