/** A player's game: what the server says of it, and what a request will bring by the rules. Pure: nothing is changed in place. */

/** The state after an answer, a copy or a push. What is older than the state changes nothing. */
export function merge(state, type, data) {
	const savedVersion = Math.max(data.saved_version ?? 0, state?.savedVersion ?? 0);
	if (data.version < state?.version) return { ...state, savedVersion };
	if (!CHANGES[type] || !(state || data.session)) return state;
	// Another rank needs more xp than is known.
	const known = (rank) => ({ need: rank === state?.rank ? state.need : undefined });
	const changes = CHANGES[type](data, state);
	return { ...state, version: data.version ?? state.version, savedVersion, ...known(changes.rank ?? state.rank), ...changes };
}

/** All upgrades by id, in the order of the wire: one that is owned and on sale stands in both lists. */
const shelf = ({ available, current }) => new Map([...current, ...available].map((upgrade) => [upgrade.id, upgrade]));

const prestigeOf = ({ current_value: stars, current_boost_value: boost, accumulated_value: accumulated }) => ({ stars, boost, accumulated });

const CHANGES = {
	session({ session: { user_id: userId, user_email: email, money, dishes, level, prestige, upgrades } }) {
		return { userId, email, money, dishes, rank: level.rank, xp: level.xp, ...prestigeOf(prestige), upgrades: shelf(upgrades) };
	},
	cook: ({ dishes, xp }) => ({ dishes, xp }),
	sell: ({ dishes, money, xp }) => ({ dishes, money, xp }),
	upgrade_buy({ money, xp, id, times_bought }, { upgrades }) {
		const upgrade = upgrades.get(id);
		return { money, xp, upgrades: upgrade ? new Map(upgrades).set(id, { ...upgrade, times_bought }) : upgrades };
	},
	upgrade_list: (lists) => ({ upgrades: shelf(lists) }),
	level_check: ({ current_rank: rank, current_xp: xp, needed_xp: need = null }) => ({ rank, xp, need }),
	level_up({ current_rank: rank, current_xp: xp, next_xp: need = null }, state) {
		return { rank, xp, ...(rank !== state.rank && { need }) };
	},
	session_reset({ money, dishes, level_rank: rank, level_xp: xp, prestige }, { upgrades }) {
		const unowned = [...upgrades].map(([id, upgrade]) => [id, { ...upgrade, times_bought: 0 }]);
		return { money, dishes, rank, xp, ...prestigeOf(prestige), upgrades: new Map(unowned) };
	},
	passive({ money, dishes, level_rank: rank, level_xp: xp, prestige_accumulated: accumulated }) {
		return { money, dishes, rank, xp, accumulated };
	},
	golden_guest: (data) => CHANGES.passive(data),
};

export const halfUp = (x) => Math.floor(x + 0.5);
/** Decimals of at most two places as whole hundredths: every `ceil` below is exact. */
export const hundredths = (x) => halfUp(x * 100);
/** The xp after gains of hundredths, each with so many more for each star. */
const plusXp = ({ need, xp, stars }, gain, perStar, times) =>
	need === null ? xp : (hundredths(xp) + times * (gain + halfUp((perStar * halfUp(stars * 1e4)) / 1e4))) / 100;

/** What a game's upgrades come to: computed once, since they are replaced and never changed. */
function ofUpgrades(compute) {
	const known = new WeakMap();
	return ({ upgrades }) => known.get(upgrades) ?? known.set(upgrades, compute(upgrades)).get(upgrades);
}

/** The sums of value × times_bought by boost type, in hundredths. */
export const boostSums = ofUpgrades((upgrades) => {
	const sums = { dPc: 0, mPc: 0, sPs: 0, dPs: 0, mPs: 0, dM: 0, mM: 0, dpM: 0, mpM: 0 };
	for (const { boost, times_bought } of upgrades.values()) sums[boost.boost_type] += hundredths(boost.value) * times_bought;
	return sums;
});

/** What clicks bring with such sums; `boost` is that of the prestige. */
export function rates({ dPc, mPc, sPs, dM, mM }, boost) {
	return {
		cookGain: Math.ceil(((100 + dPc) * (dM || 100)) / 1e4),
		soldAtOnce: 1 + Math.floor(sPs / 100),
		moneyFor: (dishes) => Math.ceil((mPc * (mM || 100) * dishes * boostTenths(boost)) / 1e5),
	};
}

export const boostTenths = (boost) => (boost > 0 ? halfUp(boost * 10) : 10);

export const ownsDish = ofUpgrades((upgrades) => [...upgrades.values()].some((u) => u.upgrade_type === "dish" && u.times_bought > 0));

/** The power by repeated multiplication, as the server does it. */
export function powerOf({ price_factor: factor, times_bought: times }) {
	let power = 1;
	for (let i = 0; i < times && power < 1e300; i++) power *= factor;
	return power;
}

export const priceAt = ({ price }, power) => Math.min(halfUp(price * power), 1e300);

/** Purchases in a row, each at its own price, up to the first that `money` does not reach: `{times, cost, left}`. */
export function purchases(upgrade, count, money) {
	const most = upgrade.upgrade_type === "dish" ? Math.min(count, 1 - upgrade.times_bought) : count;
	let [times, left, power] = [0, money, powerOf(upgrade)];
	for (let cost; times < most && (cost = priceAt(upgrade, power)) <= left; times++) {
		left -= cost;
		power *= upgrade.price_factor;
	}
	return { times, cost: money - left, left };
}

/** What requests change; null where the server would refuse. */
const ACTIONS = {
	cook(game, { count = 1 }) {
		if (!ownsDish(game)) return null;
		return { dishes: game.dishes + count * rates(boostSums(game), 0).cookGain, xp: plusXp(game, 100, 5, count) };
	},
	sell(game, { count = 1 }) {
		if (game.dishes <= 0) return null;
		const { soldAtOnce, moneyFor } = rates(boostSums(game), game.boost);
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
	const changes = ACTIONS[type] ? ACTIONS[type](game, data) : {};
	return changes && { ...game, ...changes };
}
