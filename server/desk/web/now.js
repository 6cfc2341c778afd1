/** What the game does now, and did in the last 15 minutes. */

import { ask } from "./api.js";
import { el, redraw, shape, table } from "./dom.js";
import { mib, ms, rate, share, span, whole } from "./numbers.js";
import { say, trouble, word } from "./texts.js";

const WIDTH = 300;
const HEIGHT = 60;
const KEPT_S = 900;

/** A curve for each of `keys`; where nothing was measured it has a gap. */
function chart(points, keys, label) {
	const newest = points.at(-1)?.at ?? 0;
	const top = Math.max(1e-9, ...points.flatMap((point) => keys.map((key) => point[key] ?? 0)));
	const paths = keys.map((key, at) => {
		let pen = "M";
		const steps = points.map((point) => {
			if (point[key] === null || point[key] === undefined) {
				pen = "M";
				return "";
			}
			const x = WIDTH * (1 - (newest - point.at) / KEPT_S);
			// What stands alone is a dot.
			const step = `${pen}${x.toFixed(1)} ${(HEIGHT - (HEIGHT * point[key]) / top).toFixed(1)}${pen === "M" ? "l.01 0" : ""}`;
			pen = "L";
			return step;
		});
		return shape("path", { d: steps.join("") || "M0 0", class: at ? "second-line" : "" });
	});
	const drawing = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
	return shape("svg", drawing, shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), ...paths);
}

function tile(points, title, value, keys, show, note = "") {
	const top = Math.max(0, ...points.flatMap((point) => keys.map((key) => point[key] ?? 0)));
	const label = say("chart", say(title), value, show(top), say("minutes"));
	return el(
		"section",
		{ className: "card tile" },
		el("h3", {}, say(title)),
		el("b", {}, value),
		el("small", {}, note || "\u00a0"),
		chart(points, keys, label),
		el("p", { className: "axis", ariaHidden: "true" }, el("span", {}, say("ago")), el("span", {}, `≤ ${show(top)}`), el("span", {}, say("present"))),
	);
}

/** How old the backlog is. */
function backlogNote({ backlog_age_s }) {
	return backlog_age_s === null ? say("notKnownNow") : say("oldest", span(backlog_age_s));
}

function tiles(points) {
	const last = points.at(-1);
	if (!last) return [el("p", { className: "card" }, say("loading"))];
	const all = points.map((point) => ({ ...point, refused: Object.values(point.refusals).reduce((sum, each) => sum + each, 0) }));
	return [
		tile(all, "online", whole(last.users), ["users"], whole),
		tile(all, "joined", whole(last.joined), ["joined"], whole),
		tile(all, "clicks", rate(last.clicks), ["clicks"], rate),
		tile(all, "latency", `${ms(last.p50_ms)} / ${ms(last.p99_ms)}`, ["p99_ms", "p50_ms"], ms),
		tile(all, "refusals", rate(all.at(-1).refused), ["refused"], rate),
		tile(all, "backlog", whole(last.backlog), ["backlog"], whole, backlogNote(last)),
		tile(all, "redis", last.redis_up ? ms(last.redis_p99_ms) : say("away"), ["redis_p99_ms"], ms),
		tile(all, "postgresql", last.postgresql_up ? ms(last.postgresql_p99_ms) : say("away"), ["postgresql_p99_ms"], ms),
	];
}

/** A server's name; this one has none where nobody lists it. */
const named = (server) => server || say("thisServer");

function wrong(troubles) {
	if (!troubles.length) return el("section", { className: "card well" }, el("h2", {}, `✓ ${say("allWell")}`));
	const items = troubles.map((each) => {
		const { what, todo, detail } = trouble(each);
		const servers = each.servers?.map(named).join(", ");
		return el("li", {}, el("h3", {}, what), el("p", {}, todo), [servers, detail].map((text) => (text ? el("p", { className: "soft" }, text) : null)));
	});
	return el("section", { className: "card wrong" }, el("h2", {}, say("wrongTitle")), el("ul", {}, items));
}

function processes(list) {
	const several = list.some((each) => "server" in each);
	const heads = ["process", "state", "online", "joined", "clicks", "latency", "loop", "cpu", "memory"].map((key) => say(key));
	heads[5] = "p99";
	const rows = list.map((each) => [
		...(several ? [named(each.server)] : []),
		whole(each.worker),
		each.up ? word(each.condition) : say("down"),
		whole(each.users),
		whole(each.joined),
		rate(each.clicks),
		ms(each.p99_ms),
		ms(each.loop_p99_ms),
		share(each.cpu),
		mib(each.memory_bytes),
	]);
	if (several) heads.unshift(say("server"));
	return el("section", { className: "card" }, table(say("processes"), heads, rows, several ? [3, 4, 5, 6, 7, 8, 9] : [2, 3, 4, 5, 6, 7, 8]));
}

function refusals(points) {
	const last = Object.entries(points.at(-1)?.refusals ?? {}).sort(([, a], [, b]) => b - a);
	const rows = last.length ? last.map(([kind, each]) => [kind, rate(each)]) : [[say("none"), ""]];
	return el("section", { className: "card" }, table(say("byKind"), [say("kind"), say("perSecond")], rows, [1]));
}

function parts(servers) {
	const lists = servers.flatMap(({ name, parts: said }) => [
		servers.length > 1 ? el("h4", {}, named(name)) : null,
		el("dl", {}, Object.entries(said).flatMap(([part, state]) => [el("dt", {}, part), el("dd", {}, state)])),
	]);
	return el("section", { className: "card stack" }, el("h3", {}, say("parts")), lists);
}

/** Draws the section, and again with each look of the server's; returns what stops it. */
export function showNow(main, failed) {
	let timer = 0;
	let over = false;
	const title = el("h2", { className: "unseen", tabIndex: -1 }, say("now"));
	const body = el("div", { className: "stack" });
	main.replaceChildren(title, body);
	title.focus();
	async function look() {
		let every = 5;
		try {
			const said = await ask("figures");
			if (over) return;
			every = said.every_s;
			redraw(
				body,
				wrong(said.troubles),
				el("div", { className: "tiles" }, tiles(said.points)),
				processes(said.processes),
				el("div", { className: "columns" }, refusals(said.points), parts(said.servers)),
			);
		} catch (error) {
			if (!over) redraw(body, failed(error));
		}
		if (!over) timer = setTimeout(look, 1000 * every);
	}
	look();
	return () => {
		over = true;
		clearTimeout(timer);
	};
}
