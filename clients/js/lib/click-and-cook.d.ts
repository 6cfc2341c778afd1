import type { Code, Pushes, Requests, Upgrade } from "./wire.js";

export * from "./wire.js";

/** A log-in. `sinceMs` is when it came, by this machine's clock. */
export interface Tokens {
	access: string;
	refresh: string;
	sinceMs: number;
}

/** Keeps a log-in. One of your own may be anything that has these. */
export interface TokenStore {
	load(): Tokens | null;
	save(tokens: Tokens): void;
	clear(): void;
	/** Where several clients share the store: runs `act` while no other one renews or changes the log-in. */
	alone?<T>(act: () => Promise<T>, changing: boolean): Promise<T>;
	/** Whether another client is changing the account just now. */
	readonly busy?: boolean;
	/** Waits a moment for another client's pair, where it may have ended the one with this refresh token. */
	replaced?(refresh: string): Promise<void>;
}

/** `localStorage` and `sessionStorage` are such, and what behaves like them. */
export interface Texts {
	getItem(key: string): string | null;
	setItem(key: string, text: string): void;
	removeItem(key: string): void;
}

export class MemoryStore implements TokenStore {
	load(): Tokens | null;
	save(tokens: Tokens): void;
	clear(): void;
}

/** Keeps a log-in in a browser, for all its tabs, which take turns to renew it. */
export class WebStore implements TokenStore {
	constructor(storage?: Texts, key?: string);
	load(): Tokens | null;
	save(tokens: Tokens): void;
	clear(): void;
	alone<T>(act: () => Promise<T>, changing?: boolean): Promise<T>;
	readonly busy: boolean;
	replaced(refresh: string): Promise<void>;
}

/** How a client waits, in ms; the numbers of docs/clients.md are the defaults. */
export interface Habits {
	retryFirstMs?: number;
	retryMostMs?: number;
	crowdedMs?: number;
	stableMs?: number;
	answerTimeoutMs?: number;
	probeAfterMs?: number;
	probeTimeoutMs?: number;
	renewAgainMs?: number;
	/** At most this many requests are unanswered, up to 64. */
	mostUnanswered?: number;
	/** Gives numbers from 0 to 1 that spread the waits. */
	random?: () => number;
}

export interface Options extends Habits {
	/** Where the log-in is kept; this process's memory where none is given. */
	store?: TokenStore;
	/** In place of a store: an account that others use too. */
	account?: Account;
	/** What `kept` gave in an earlier process. */
	kept?: Kept | null;
	/** `sessionStorage`: the next page of this tab goes on with what this one leaves unanswered. */
	tab?: Texts;
	/** What tells of the page's life (`online`, `freeze`, `pageshow`, …): the window, where there is one. */
	page?: EventTarget | null;
	/** For Node 20, which has none: `import { WebSocket } from "ws"`. */
	WebSocket?: unknown;
}

/** A conversation as the next page or process goes on with it. */
export interface Kept {
	client: string;
	seq: number;
	userId: string;
	waiting: { type: string; data: object; seq: number }[];
}

/** A player's state at a version. */
export interface State {
	userId: number;
	/** Empty for a guest. */
	email: string;
	money: number;
	dishes: number;
	rank: number;
	xp: number;
	/** The xp of the next rank: null at the last one, undefined where it is not known (`levelCheck` tells). */
	need: number | null | undefined;
	stars: number;
	boost: number;
	accumulated: number;
	/** All upgrades by id, owned or not. */
	upgrades: Map<number, Upgrade>;
	version: number;
	/** The newest version that is safe for good. */
	savedVersion: number;
}

export interface Status {
	name: "logged_out" | "connecting" | "joined" | "waiting" | "offline" | "ended";
	/** Why it waits or ended: `going_away`, `too_busy`, `crowded`, `revoked`, `logged_out`, `stopped`, `broken`, … */
	reason: string | null;
	/** Until the next attempt. */
	retryInMs: number;
	/** How many requests lost their answer and are sent again. */
	toResend: number;
}

/** A request that ended without an answer. `maybeApplied`: it was sent, and may have counted. */
export interface Unsent {
	type: string;
	data: object;
	seq: number | null;
	maybeApplied: boolean;
}

export type Event =
	| { kind: "changed" }
	| ({ kind: "status" } & Status)
	| { kind: "joined"; data: Requests["session"]["result"] }
	| { [Kind in keyof Pushes]: { kind: "push"; type: Kind; data: Pushes[Kind] } }[keyof Pushes]
	| { kind: "refused"; type: string; code: Code; data: { code: Code; message: string } }
	| { kind: "lost"; count: number }
	| { kind: "ended"; reason: string; unsent: Unsent[] };

/** `retryable`: the same may succeed later. */
export class ClickCookError extends Error {
	readonly retryable: boolean;
}
/** The game refused a request: nothing was changed. */
export class Refused extends ClickCookError {
	readonly code: Code;
	readonly data: { code: Code; message: string };
}
/** The client ended before the answer came. */
export class NotSent extends ClickCookError implements Unsent {
	readonly type: string;
	readonly data: object;
	readonly seq: number | null;
	readonly maybeApplied: boolean;
	readonly reason: string;
}
/** The server refused something about the account; `status` is the contract's number. */
export class AccountRefused extends ClickCookError {
	readonly httpStatus: number;
	readonly status: number;
	readonly retryAfterMs: number;
}
export class Suspended extends AccountRefused {
	/** An ISO time, or null where it does not end by itself. */
	readonly until: string | null;
	readonly reason: string;
}
/** There is no log-in, or the server no longer takes it. */
export class LoggedOut extends ClickCookError {}
/** No answer over HTTP, or one that says nothing. */
export class Unreachable extends ClickCookError {}

/** The HTTP side of an account. */
export class Account {
	constructor(url: string, store?: TokenStore);
	readonly userId: string | undefined;
	/** Takes the log-in that the store has now; none where that is damaged. */
	reload(): void;
	/** `/guest`, `/reg`, `/auth`, `/reset`: begins a log-in. */
	enter(path: string, fields?: object): Promise<void>;
	/** `/claim`, `/email`, `/password`: the answer's log-in replaces every older one, in all tabs. */
	change(path: string, fields: object): Promise<void>;
	/** Any other request with the newest access token, once more with a renewed one where that is refused. */
	ask(method: string, path: string, fields?: object): Promise<unknown>;
	/** Any request; `bearer` is the token that it takes. Rejects with its refusal, or with `Unreachable`. */
	send(method: string, path: string, bearer?: string | null, fields?: object): Promise<unknown>;
	/**
	 * A token that is not `unwanted`, renewed where needed, and its age since it came. Rejects with `LoggedOut` or
	 * `Suspended` where the log-in is over.
	 */
	access(unwanted?: string | null): Promise<{ access: string; lifeMs: number; ageMs: number }>;
	/** Ends the log-in here, and at the server if it answers; `everywhere`: each one of the player. */
	leave(everywhere?: boolean): Promise<void>;
	/** Ends the log-in here alone. */
	forget(): void;
}

type Answer<Type extends keyof Requests> = Promise<Requests[Type]["result"]>;

/**
 * One tab of a player. Whatever happens to the network, the page or the server, each request is answered in the end and
 * counts once. Requests wait for room, then for their answer; they reject with `Refused` or `NotSent`.
 */
export class Client {
	constructor(url: string, options?: Options);
	readonly account: Account;
	/** What the server has said; null before the first `session`. */
	readonly state: State | null;
	/** The state as it will be when all that is unanswered is answered, by the game's rules. */
	readonly optimistic: State | null;
	readonly unanswered: number;
	/** Whether a request would go without waiting for others' answers. */
	readonly hasRoom: boolean;
	readonly status: Status;

	guest(): Promise<void>;
	register(email: string, password: string): Promise<void>;
	logIn(email: string, password: string): Promise<void>;
	/** Gives a guest's account an e-mail and a password; the play goes on. */
	claim(email: string, password: string): Promise<void>;
	logOut(everywhere?: boolean): Promise<void>;
	/** Plays with the log-in that the store has: `connect` does so too, where there is one. */
	start(kept?: Kept | null): void;

	session(): Answer<"session">;
	/** `count`: 1 to 1000 in one request. */
	cook(count?: number): Answer<"cook">;
	sell(count?: number): Answer<"sell">;
	upgradeBuy(id: number, count?: number): Answer<"upgrade_buy">;
	upgradeList(): Answer<"upgrade_list">;
	levelCheck(): Answer<"level_check">;
	levelUp(): Answer<"level_up">;
	sessionReset(): Answer<"session_reset">;
	passive(): Answer<"passive">;
	achievements(): Answer<"achievements">;
	leaderboard(by?: "money" | "stars"): Answer<"leaderboard">;
	nameSet(name: string): Answer<"name_set">;
	/** Who waits or comes next; `serve`: the id of the guest who is here, to be served first, once. */
	goldenGuest(serve?: number): Answer<"golden_guest">;
	request<Type extends keyof Requests>(type: Type, data?: Requests[Type]["data"]): Answer<Type>;

	/** Whether a request of this type waits for its answer. */
	awaits(type: keyof Requests): boolean;
	/** Gives the function that ends it. */
	subscribe(listener: (event: Event) => void): () => void;
	/** What the next process gives to `connect`, to send again what is unanswered. */
	kept(): Kept | null;
	/** Ends the wait for the next attempt. */
	retryNow(): void;
	/** Waits until everything is answered. */
	drained(): Promise<void>;
	/** Waits for the answers, not longer than `withinMs`, and ends; gives what was not answered. */
	close(withinMs?: number): Promise<Unsent[]>;
	/** Ends at once. */
	stop(): Unsent[];
}

/** A client of the server at `url`. It plays at once where the store has a log-in; else call `guest` or `logIn`. */
export function connect(url: string, options?: Options): Client;
