/**
 * The rules of the game as far as a page needs them: what a click brings before the server has said so, and what
 * a purchase is worth. Pure. The server decides: its next answer replaces what is computed here.
 *
 * A game is `{money, dishes, rank, xp, need, stars, boost, accumulated, upgrades}`: `need` is the xp of the next rank, null
 * at the last one, undefined while unknown; `upgrades` maps ids to upgrades as they are on the wire.
 */

const MULTIPLIERS = new Set(["dM", "mM", "dpM", "mpM"]);
/** A cook makes one dish, and a sale sells one, before anything is bought. */
const BY_HAND = new Set(["dPc", "sPs"]);
/** The pace that an estimate assumes, in clicks a second. */
const CLICKS_PER_S = 4;

const halfUp = (x) => Math.floor(x + 0.5);
/** Decimals of at most two places as whole hundredths: every `ceil` below is exact. */
const hundredths = (x) => halfUp(x * 100);
/** The xp after a gain of hundredths and so many more for each star. */
const plusXp = ({ need, xp, stars }, gain, perStar) =>
	need === null ? xp : (hundredths(xp) + gain + halfUp((perStar * halfUp(stars * 1e4)) / 1e4)) / 100;
const clickXp = (game) => plusXp(game, 100, 5);

/** Gives what `compute` gives, once for each object: upgrades and their maps are replaced, never changed. */
function remembered(compute) {
	const known = new WeakMap();
	return (subject) => {
		if (!known.has(subject)) known.set(subject, compute(subject));
		return known.get(subject);
	};
}

/** The sums of value × times_bought by boost type, in hundredths; types that nobody owns are 0. */
export const boostSums = ({ upgrades }) => sumsOf(upgrades);

const sumsOf = remembered((upgrades) => {
	const sums = { dPc: 0, mPc: 0, sPs: 0, dPs: 0, mPs: 0, dM: 0, mM: 0, dpM: 0, mpM: 0 };
	for (const { boost, times_bought } of upgrades.values()) {
		sums[boost.boost_type] += hundredths(boost.value) * times_bought;
	}
	return sums;
});

/** What clicks and seconds bring with these boosts; `boost` is that of the prestige. */
export function rates({ dPc, mPc, sPs, dPs, mPs, dM, mM, dpM, mpM }, boost) {
	const factorTenths = boost > 0 ? halfUp(boost * 10) : 10;
	return {
		cookGain: Math.ceil(((100 + dPc) * (dM || 100)) / 1e4),
		soldAtOnce: 1 + Math.floor(sPs / 100),
		moneyFor: (dishes) => Math.ceil((mPc * (mM || 100) * dishes * factorTenths) / 1e5),
		dishesPerS: Math.ceil((dPs * (dpM || 100)) / 1e4),
		passiveMoneyFor: (dishes) => Math.ceil((mPs * (mpM || 100) * factorTenths * dishes) / 1e5),
	};
}

export const gameRates = (game) => rates(boostSums(game), game.boost);

export const ownsDish = ({ upgrades }) => hasDish(upgrades);

const hasDish = remembered((upgrades) =>
	[...upgrades.values()].some((u) => u.upgrade_type === "dish" && u.times_bought > 0),
);

/** The price of the next purchase: the power by repeated multiplication, as the server does it. */
export const price = remembered((upgrade) => priceAt(upgrade, powerOf(upgrade)));

function powerOf({ price_factor: factor, times_bought: times }) {
	let power = 1;
	for (let i = 0; i < times && power < 1e300; i++) power *= factor;
	return power;
}

const priceAt = ({ price: base }, power) => Math.min(halfUp(base * power), 1e300);

/** Whether the upgrade can still be bought, now or at a later rank. */
export const onSale = (upgrade) => upgrade.upgrade_type !== "dish" || upgrade.times_bought === 0;

/** The most that one request may buy of an upgrade: as many as the money lasts. */
export const MOST_AT_ONCE = 1000;

/**
 * What `count` purchases in a row come to, each at its own price, up to the first that `money` does not reach.
 *
 * @returns {{times: number, cost: number, left: number}} how many, what they cost together, the money after them
 */
export function purchases(upgrade, count, money) {
	const most = upgrade.upgrade_type === "dish" ? Math.min(count, 1) : count;
	let [times, left, power] = [0, money, powerOf(upgrade)];
	for (; onSale(upgrade) && times < most; times++) {
		const cost = priceAt(upgrade, power);
		if (cost > left) break;
		left -= cost;
		power *= upgrade.price_factor;
	}
	return { times, cost: money - left, left };
}

/** Requests as changes of a game. Each gives null where the server would refuse. */
const ACTIONS = {
	cook: (game) => (ownsDish(game) ? { dishes: game.dishes + gameRates(game).cookGain, xp: clickXp(game) } : null),
	sell(game) {
		if (game.dishes <= 0) return null;
		const { soldAtOnce, moneyFor } = gameRates(game);
		const sold = Math.min(soldAtOnce, game.dishes);
		return { dishes: game.dishes - sold, money: game.money + moneyFor(sold), xp: clickXp(game) };
	},
	upgrade_buy(game, { id, count = 1 }) {
		const upgrade = game.upgrades.get(id);
		const { times, left } = purchases(upgrade, count, game.money);
		if (times === 0 || upgrade.access_level > game.rank) return null;
		const upgrades = new Map(game.upgrades).set(id, { ...upgrade, times_bought: upgrade.times_bought + times });
		let { xp } = game;
		for (let i = 0; i < times; i++) xp = plusXp({ ...game, xp }, 5 * (game.need ?? 0), 10);
		return { money: left, upgrades, xp };
	},
};

/** The game after a request, or null where the rules refuse it. Requests not worth guessing leave it as it is. */
export function apply(game, type, data) {
	if (!ACTIONS[type]) return game;
	const changes = ACTIONS[type](game, data);
	return changes && { ...game, ...changes };
}

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
