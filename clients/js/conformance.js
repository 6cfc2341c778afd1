/**
 * The core over a pipe: one JSON object a line on standard input, one for each on standard output. It is what
 * `clients/conformance/run.py` drives; the README there describes the lines.
 */

import { createInterface } from "node:readline";

import { Core } from "./lib/click-and-cook.js";

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const renamed = (fields, rename) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [rename(name), value]));

function newCore({ client = "tab", random = 0, kept, ...options } = {}) {
	return new Core({ ...renamed(options, camel), client, ...kept, random: () => random });
}

function shown({ do: what, id, ...fields }) {
	if (what === "send") return { do: what, request_id: id, ...fields };
	if (what === "end") fields.unsent = fields.unsent.map((each) => ({ call: null, ...renamed(each, snake) }));
	return { do: what, ...fields };
}

function shownState(state) {
	if (!state) return null;
	const { upgrades, need = null, ...rest } = state;
	const owned = [...upgrades.values()].filter((each) => each.times_bought).map((each) => [each.id, each.times_bought]);
	return { ...renamed({ ...rest, need }, snake), owned: Object.fromEntries(owned) };
}

let core = newCore();
for await (const text of createInterface({ input: process.stdin })) {
	const { do: input, at_ms: atMs, options, ...fields } = JSON.parse(text);
	if (input === "case") core = newCore(options);
	else core.take(camel(input), atMs, renamed(fields, camel));
	const { name, reason, retryMs } = core.status;
	const answer = {
		out: core.out.splice(0).map(shown),
		wake_at_ms: core.wakeMs,
		status: { name, reason: reason ?? "", retry_at_ms: retryMs },
		unanswered: core.unanswered.length,
		state: shownState(core.state),
		optimistic: shownState(core.optimistic),
	};
	console.log(JSON.stringify(answer));
}
