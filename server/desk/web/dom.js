/** Small words for building the page. Whatever comes from players or operators becomes text, never markup. */

export const byId = (id) => document.getElementById(id);

/** A new element: its properties, then its children; strings become text, what is null is left out. */
export function el(tag, properties, ...children) {
	const { data, attributes, ...plain } = properties ?? {};
	const node = Object.assign(document.createElement(tag), plain);
	Object.assign(node.dataset, data);
	for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
	node.append(...children.flat().filter((child) => child !== null));
	return node;
}

/** A new element of a drawing. */
export function shape(tag, attributes, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

/** A table: its title, the heads of its columns, its rows of texts or nodes; numbers stand on the right. */
export function table(title, heads, rows, numbers = []) {
	const cell = (tag, content, at) => el(tag, { className: numbers.includes(at) ? "n" : "" }, content ?? "—");
	return el(
		"div",
		{ className: "scroll", tabIndex: 0, attributes: { role: "region", "aria-label": title } },
		el(
			"table",
			{},
			el("caption", {}, title),
			el("thead", {}, el("tr", {}, heads.map((head, at) => cell("th", head, at)))),
			el("tbody", {}, rows.map((row) => el("tr", {}, row.map((content, at) => cell("td", content, at))))),
		),
	);
}

/** Draws a part again; who stands in it with the keyboard stays where they were. */
export function redraw(node, ...children) {
	const stops = () => [...node.querySelectorAll("a,button,[tabindex]")];
	const held = stops().indexOf(document.activeElement);
	const order = document.activeElement?.dataset.order;
	node.replaceChildren(...children);
	if (held < 0) return;
	const again = (order && node.querySelector(`[data-order="${order}"]`)) || stops()[held] || stops().at(-1);
	(again ?? byId("main")).focus({ preventScroll: true });
}

/** Tells those who listen to the page. */
export function announce(text) {
	byId("announcer").textContent = text;
}
