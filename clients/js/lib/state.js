/** A player's state, kept from what the server says. Pure: states are replaced, never changed. */

/** The state after an answer, a copy or a push. What is older than what is known changes nothing. */
export function merge(state, type, data) {
	const savedVersion = Math.max(data.saved_version ?? 0, state?.savedVersion ?? 0);
	if (data.version < state?.version) return { ...state, savedVersion };
	if (type === "session") return { ...sessionOf(data, state), savedVersion };
	if (!CHANGES[type] || !state) return state;
	return { ...state, version: data.version ?? state.version, savedVersion, ...CHANGES[type](data, state) };
}

function sessionOf({ session, version }, before) {
	const { money, dishes, level, prestige, upgrades, user_id: userId, user_email: email } = session;
	const need = before?.rank === level.rank ? before.need : undefined;
	const { rank, xp } = level;
	return { userId, email, money, dishes, rank, xp, need, ...prestigeOf(prestige), upgrades: shelf(upgrades), version };
}

const prestigeOf = (prestige) => ({
	stars: prestige.current_value,
	boost: prestige.current_boost_value,
	accumulated: prestige.accumulated_value,
});

/** All upgrades by id, in the order of the wire: what is owned and on sale at once stands in both lists. */
const shelf = ({ available, current }) => new Map([...current, ...available].map((upgrade) => [upgrade.id, upgrade]));

/** What each kind of message changes. A new rank's need is unknown until it is sent. */
const CHANGES = {
	cook: ({ dishes, xp }) => ({ dishes, xp }),
	sell: ({ dishes, money, xp }) => ({ dishes, money, xp }),
	upgrade_buy({ money, xp, id, times_bought }, { upgrades }) {
		const upgrade = upgrades.get(id);
		return { money, xp, upgrades: upgrade ? new Map(upgrades).set(id, { ...upgrade, times_bought }) : upgrades };
	},
	upgrade_list: (lists) => ({ upgrades: shelf(lists) }),
	level_check: ({ current_rank: rank, current_xp: xp, needed_xp: need = null }) => ({ rank, xp, need }),
	level_up({ current_rank: rank, current_xp: xp, next_xp: next = null }, state) {
		return { rank, xp, need: rank === state.rank ? state.need : next };
	},
	session_reset({ money, dishes, level_rank: rank, level_xp: xp, prestige }, { upgrades }) {
		const unowned = [...upgrades].map(([id, upgrade]) => [id, { ...upgrade, times_bought: 0 }]);
		return { money, dishes, rank, xp, need: undefined, ...prestigeOf(prestige), upgrades: new Map(unowned) };
	},
	passive({ money, dishes, level_rank: rank, level_xp: xp, prestige_accumulated: accumulated }, state) {
		return { money, dishes, rank, xp, accumulated, need: rank === state.rank ? state.need : undefined };
	},
};
