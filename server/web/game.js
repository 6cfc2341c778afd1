/**
 * The player's game as the server told it, and as it looks with the unanswered requests applied. Pure.
 */

import { apply } from "./rules.js";

export class Game {
	/** The newest state that the server told, in the shape of rules.js; null before the first `session`. */
	told = null;
	version = 0;

	/** Takes the data of an answer or of a copy. What is older than what is known, changes nothing. */
	merge(type, data) {
		if (type === "session") return this.#takeSession(data);
		if (!CHANGES[type] || !this.told || data.version < this.version) return;
		this.version = data.version ?? this.version;
		this.told = { ...this.told, ...CHANGES[type](data, this.told) };
	}

	/** The game with `requests` applied in order; those that the rules refuse are left out. */
	expected(requests) {
		return requests.reduce((game, { type, data }) => apply(game, type, data) ?? game, this.told);
	}

	#takeSession({ session, version }) {
		const { money, dishes, level, prestige, upgrades, user_id: userId, user_email: email } = session;
		const need = this.told?.rank === level.rank ? this.told.need : undefined;
		this.told = { userId, email, money, dishes, rank: level.rank, xp: level.xp, need };
		Object.assign(this.told, prestigeOf(prestige), { upgrades: shelf(upgrades) });
		this.version = version;
	}
}

const prestigeOf = (prestige) => ({
	stars: prestige.current_value,
	boost: prestige.current_boost_value,
	accumulated: prestige.accumulated_value,
});

/** All upgrades by id, in the order of the wire: what is owned and on sale at once stands in both lists. */
function shelf({ available, current }) {
	const byId = new Map();
	for (const upgrade of [...current, ...available]) byId.set(upgrade.id, upgrade);
	return byId;
}

/** What each kind of message changes. A new rank's need is unknown until it is sent. */
const CHANGES = {
	cook: ({ dishes, xp }) => ({ dishes, xp }),
	sell: ({ dishes, money, xp }) => ({ dishes, money, xp }),
	upgrade_buy({ money, xp, id, times_bought }, told) {
		const upgrades = new Map(told.upgrades);
		const upgrade = upgrades.get(id);
		if (upgrade) upgrades.set(id, { ...upgrade, times_bought });
		return { money, xp, upgrades };
	},
	upgrade_list: (lists) => ({ upgrades: shelf(lists) }),
	level_check: ({ current_rank: rank, current_xp: xp, needed_xp: need = null }) => ({ rank, xp, need }),
	level_up({ current_rank: rank, current_xp: xp, next_xp: next = null }, told) {
		return { rank, xp, need: rank === told.rank ? told.need : next };
	},
	session_reset({ money, dishes, level_rank: rank, level_xp: xp, prestige }, told) {
		const unowned = [...told.upgrades].map(([id, upgrade]) => [id, { ...upgrade, times_bought: 0 }]);
		return { money, dishes, rank, xp, need: undefined, ...prestigeOf(prestige), upgrades: new Map(unowned) };
	},
	passive({ money, dishes, level_rank: rank, level_xp: xp, prestige_accumulated: accumulated }, told) {
		return { money, dishes, rank, xp, accumulated, need: rank === told.rank ? told.need : undefined };
	},
};
