/** Makes SVG of drawings.txt; in the page `use` finds each drawing by its name. */

const PART = /^([\da-f]{3}|[-*])?(?:~([\da-f]{3}|0))?(?:\^([\da-f]{3}))?(?:!([\d.]+))?([Mmo@])(.*)$/;
const WORDS = { "-": "none", "*": "currentColor", 0: "none" };
const WOBBLE = `<filter id="wobble" x="-2%" y="-2%" width="104%" height="104%"><feTurbulence type="fractalNoise"
	baseFrequency=".025" numOctaves="2" seed="4"/><feDisplacementMap in="SourceGraphic" scale="5" xChannelSelector="R"
	yChannelSelector="G"/></filter>`;
/**
 * What wobbles is drawn once, as part of its scene, only where the browser finds few empty places between its pieces: else
 * it is a layer of its own, and the noise is made again for every frame in which anything moves. So it has a ground as
 * large as the scene, which shows nothing.
 */
const WOBBLES = '<g filter="url(#wobble)"><path d="M0 0h640v300H0z" fill="none" stroke="none"/>';

function shape(kind, rest) {
	if (kind !== "o" && kind !== "@") return `path d="${kind}${rest}"`;
	const words = rest.split(" ");
	if (kind === "o") return `ellipse cx="${words[0]}" cy="${words[1]}" rx="${words[2]}" ry="${words[3] ?? words[2]}"`;
	const [name, x = 0, y = 0, scale = 1, scaleY = scale, turn = 0] = words;
	return `use href="#${name}" transform="translate(${x} ${y}) rotate(${turn}) scale(${scale} ${scaleY})"`;
}

function part(text) {
	if (text === "%") return WOBBLES;
	const [, fill, stroke, color, width, kind, rest] = PART.exec(text);
	const colour = (name, code) => (code ? ` ${name}="${WORDS[code] ?? `#${code}`}"` : "");
	const look = colour("fill", fill) + colour("stroke", stroke) + colour("color", color);
	return `<${shape(kind, rest)}${look}${width ? ` stroke-width="${width}"` : ""}/>`;
}

/** The SVG of one line: a group with its name as id. */
export function drawing(line) {
	const [name, ...parts] = line.split("|");
	return `<g id="${name}">${parts.map(part).join("")}${parts.includes("%") ? "</g>" : ""}</g>`;
}

/** An icon of the page. */
export function icon(name) {
	const holder = document.createElement("template");
	holder.innerHTML = '<svg class="icon" viewBox="0 0 48 48" aria-hidden="true"><use/></svg>';
	holder.content.firstChild.firstChild.setAttribute("href", `#i-${name}`);
	return holder.content.firstChild;
}

/** Fetches the drawings and puts them into the page. What it names by `data-icon` has its place before. */
export async function loadDrawings() {
	for (const place of document.querySelectorAll("[data-icon]")) place.replaceWith(icon(place.dataset.icon));
	const text = await (await fetch("/drawings.txt")).text();
	const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
	document.getElementById("drawings").innerHTML = `<svg>${WOBBLE}${lines.map(drawing).join("")}</svg>`;
}
