/** Made by `python -m scripts.describe` from the code; changes here are lost. */

export interface Upgrade {
	id: number;
	name: string;
	names: {
		ru: string;
		en: string;
	};
	icon_name: string;
	upgrade_type: "dish" | "equipment" | "global" | "staff" | "point";
	price_factor: number;
	price: number;
	access_level: number;
	boost: {
		id: number;
		boost_type: "dPc" | "mPc" | "sPs" | "dPs" | "mPs" | "dM" | "mM" | "dpM" | "mpM";
		value: number;
	};
	times_bought: number;
}

export interface Prestige {
	current_value: number;
	current_boost_value: number;
	accumulated_value: number;
}

export interface Session {
	user_id: number;
	user_email: string;
	money: number;
	dishes: number;
	level: {
		rank: number;
		xp: number;
	};
	prestige: Prestige;
	upgrades: {
		available: Upgrade[];
		current: Upgrade[];
	};
}

export interface Offline {
	seconds: number;
	away_seconds: number;
	money: number;
	dishes: number;
	xp: number;
	stars: number;
}

export interface Achievement {
	id: number;
	key: string;
	title: string;
	text: string;
	titles: {
		ru: string;
		en: string;
	};
	texts: {
		ru: string;
		en: string;
	};
	counter: "clicks" | "cooked" | "earned" | "purchases" | "resets" | "rank" | "stars";
	threshold: number;
	done: boolean;
}

export interface Statistics {
	clicks: number;
	cooked: number;
	earned: number;
	purchases: number;
	resets: number;
}

export interface GoldenGuest {
	id: number;
	comes_in_ms: number;
	leaves_in_ms: number;
}

export interface Entry {
	place: number;
	name: string;
	value: number;
}

export interface OwnEntry {
	place: number | null;
	name: string | null;
	value: number;
}

export interface AchievementsRequest {}

export interface AchievementsResult {
	achievements: Achievement[];
	statistics: Statistics;
	version: number;
}

export interface CookRequest {
	count?: number;
}

export interface CookResult {
	dishes: number;
	xp: number;
	applied: number;
	version: number;
	duplicate?: true;
}

export interface GoldenGuestRequest {
	serve?: number;
}

export interface GoldenGuestResult {
	money: number;
	dishes: number;
	level_rank: number;
	level_xp: number;
	prestige_accumulated: number;
	version: number;
	gain: number;
	guest: GoldenGuest;
	duplicate?: true;
}

export interface LeaderboardRequest {
	by?: "money" | "stars";
}

export interface LeaderboardResult {
	by: "money" | "stars";
	entries: Entry[];
	me: OwnEntry;
}

export interface LevelCheckRequest {}

export interface LevelCheckResult {
	current_rank: number;
	current_xp: number;
	saved_version: number;
	version: number;
	needed_xp?: number;
}

export interface LevelUpRequest {}

export interface LevelUpResult {
	current_rank: number;
	current_xp: number;
	version: number;
	next_xp?: number;
	duplicate?: true;
}

export interface NameSetRequest {
	name: string;
}

export interface NameSetResult {
	name: string;
}

export interface PassiveRequest {}

export interface PassiveResult {
	money: number;
	dishes: number;
	level_rank: number;
	level_xp: number;
	prestige_accumulated: number;
	version: number;
}

export interface SellRequest {
	count?: number;
}

export interface SellResult {
	dishes: number;
	money: number;
	xp: number;
	applied: number;
	version: number;
	duplicate?: true;
}

export interface SessionRequest {}

export interface SessionResult {
	session: Session;
	version: number;
	saved_version: number;
	last_seq?: number;
	offline?: Offline;
}

export interface SessionResetRequest {}

export interface SessionResetResult {
	message: "success";
	money: number;
	dishes: number;
	level_rank: number;
	level_xp: number;
	prestige: Prestige;
	version: number;
	duplicate?: true;
}

export interface UpgradeBuyRequest {
	id: number;
	count?: number;
}

export interface UpgradeBuyResult {
	money: number;
	xp: number;
	id: number;
	times_bought: number;
	applied: number;
	version: number;
	duplicate?: true;
}

export interface UpgradeListRequest {}

export interface UpgradeListResult {
	available: Upgrade[];
	current: Upgrade[];
	version: number;
}

export interface AchievementPush {
	achievements: Achievement[];
	version: number;
}

/** By request type: what it asks with, and its answer. */
export interface Requests {
	achievements: { data: AchievementsRequest; result: AchievementsResult };
	cook: { data: CookRequest; result: CookResult };
	golden_guest: { data: GoldenGuestRequest; result: GoldenGuestResult };
	leaderboard: { data: LeaderboardRequest; result: LeaderboardResult };
	level_check: { data: LevelCheckRequest; result: LevelCheckResult };
	level_up: { data: LevelUpRequest; result: LevelUpResult };
	name_set: { data: NameSetRequest; result: NameSetResult };
	passive: { data: PassiveRequest; result: PassiveResult };
	sell: { data: SellRequest; result: SellResult };
	session: { data: SessionRequest; result: SessionResult };
	session_reset: { data: SessionResetRequest; result: SessionResetResult };
	upgrade_buy: { data: UpgradeBuyRequest; result: UpgradeBuyResult };
	upgrade_list: { data: UpgradeListRequest; result: UpgradeListResult };
}

/** By kind: what the server says by itself. */
export interface Pushes {
	cook: CookResult;
	sell: SellResult;
	upgrade_buy: UpgradeBuyResult;
	level_up: LevelUpResult;
	session_reset: SessionResetResult;
	passive: PassiveResult;
	session: SessionResult;
	achievement: AchievementPush;
}

/** What a request may be refused with. */
export type Code =
	| "invalid_message"
	| "unknown_request"
	| "missing_token"
	| "token_invalid"
	| "session_required"
	| "no_dish"
	| "no_dishes"
	| "upgrade_not_found"
	| "upgrade_locked"
	| "not_enough_money"
	| "not_enough_prestige"
	| "no_golden_guest"
	| "name_invalid"
	| "name_taken"
	| "rate_limited"
	| "unavailable";
