/** Pressing and holding: one act at once, then ten a second for as long as a pointer or a key stays down. */

const REPEAT_AFTER_MS = 350;
const REPEAT_EVERY_MS = 100;

export class Hold {
	#holders = new Set();
	#timer = 0;

	/**
	 * @param {HTMLElement} element takes pointers, Enter and Space
	 * @param {(x?: number, y?: number) => void} act gets the pointer's place in the window where there is one
	 */
	constructor(element, act) {
		this.element = element;
		this.act = act;
		const on = (types, react) => types.forEach((type) => element.addEventListener(type, react));
		on(["pointerdown"], ({ button, pointerId, clientX, clientY }) => {
			if (button !== 0) return;
			element.setPointerCapture(pointerId);
			this.press(pointerId, clientX, clientY);
		});
		on(["pointerup", "pointercancel", "lostpointercapture"], ({ pointerId }) => this.release(pointerId));
		on(["contextmenu"], (event) => event.preventDefault());
		on(["keydown", "keyup"], (event) => {
			const { type, code, repeat } = event;
			if (code !== "Enter" && code !== "Space") return;
			event.preventDefault();
			if (type === "keyup") this.release(code);
			else if (!repeat) this.press(code);
		});
		// A click without a pointer or a key comes from assistive technology.
		on(["click"], ({ detail }) => detail === 0 && this.act());
		on(["blur"], () => this.releaseAll());
		addEventListener("blur", () => this.releaseAll());
	}

	/** One more pointer or key is down. The first of them starts the repetition. */
	press(holder, x, y) {
		this.#holders.add(holder);
		this.element.classList.add("held");
		this.act(x, y);
		if (this.#holders.size > 1) return;
		const repeat = () => {
			this.#timer = setTimeout(repeat, REPEAT_EVERY_MS);
			this.act(x, y);
		};
		this.#timer = setTimeout(repeat, REPEAT_AFTER_MS);
	}

	release(holder) {
		this.#holders.delete(holder);
		if (this.#holders.size === 0) this.releaseAll();
	}

	releaseAll() {
		this.#holders.clear();
		clearTimeout(this.#timer);
		this.element.classList.remove("held");
	}
}
