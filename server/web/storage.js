/** What the browser keeps for the page. Where it keeps nothing (cookies blocked, no room left), this tab's memory does. */

class Kept {
	#memory = new Map();
	#store = null;
	/** Whether a reload will find what is kept. */
	lasts = false;

	constructor(name) {
		try {
			this.#store = globalThis[name];
			this.#store.setItem("click-and-cook.probe", "1");
			this.#store.removeItem("click-and-cook.probe");
			this.lasts = true;
		} catch {
			this.#store = null;
		}
	}

	/** The text of a key, or null. */
	get(key) {
		return this.#memory.get(key) ?? this.#store?.getItem(key) ?? null;
	}

	set(key, text) {
		try {
			this.#store.setItem(key, text);
			this.#memory.delete(key);
		} catch {
			this.#memory.set(key, text);
		}
	}

	remove(key) {
		this.#memory.delete(key);
		this.#store?.removeItem(key);
	}

	/** As the client library calls them. */
	getItem = this.get;
	setItem = this.set;
	removeItem = this.remove;
}

/** For all tabs of this browser. */
export const shared = new Kept("localStorage");
/** For the pages of this tab. */
export const ofTab = new Kept("sessionStorage");
