/**
 * What a request brings before the server has said so. Pure. The server decides: its next answer replaces what is
 * computed here.
 *
 * A game is `{money, dishes, rank, xp, need, stars, boost, accumulated, upgrades}`: `need` is the xp of the next rank, null
 * at the last one, undefined while unknown; `upgrades` maps ids to upgrades as they are on the wire.
 */

export const halfUp = (x) => Math.floor(x + 0.5);
/** Decimals of at most two places as whole hundredths: every `ceil` below is exact. */
export const hundredths = (x) => halfUp(x * 100);
/** The xp after gains of hundredths, each with so many more for each star. */
const plusXp = ({ need, xp, stars }, gain, perStar, times = 1) =>
	need === null ? xp : (hundredths(xp) + times * (gain + halfUp((perStar * halfUp(stars * 1e4)) / 1e4))) / 100;

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
	cook(game, { count = 1 }) {
		if (!ownsDish(game)) return null;
		return { dishes: game.dishes + count * gameRates(game).cookGain, xp: plusXp(game, 100, 5, count) };
	},
	sell(game, { count = 1 }) {
		if (game.dishes <= 0) return null;
		const { soldAtOnce, moneyFor } = gameRates(game);
		const whole = Math.min(count, Math.floor(game.dishes / soldAtOnce));
		// The last sale may sell what is left.
		const rest = whole < count ? game.dishes - whole * soldAtOnce : 0;
		const money = game.money + whole * moneyFor(soldAtOnce) + moneyFor(rest);
		return { dishes: game.dishes - whole * soldAtOnce - rest, money, xp: plusXp(game, 100, 5, whole + (rest > 0)) };
	},
	upgrade_buy(game, { id, count = 1 }) {
		const upgrade = game.upgrades.get(id);
		if (!upgrade || upgrade.access_level > game.rank) return null;
		const { times, left } = purchases(upgrade, count, game.money);
		if (times === 0) return null;
		const upgrades = new Map(game.upgrades).set(id, { ...upgrade, times_bought: upgrade.times_bought + times });
		return { money: left, upgrades, xp: plusXp(game, 5 * (game.need ?? 0), 10, times) };
	},
};

/** The game after a request, or null where the rules refuse it. Requests not worth guessing leave it as it is. */
export function apply(game, type, data = {}) {
	if (!ACTIONS[type]) return game;
	const changes = ACTIONS[type](game, data);
	return changes && { ...game, ...changes };
}
