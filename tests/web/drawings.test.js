/** Lines of text as SVG. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { drawing } from "../../server/web/drawings.js";

test("each kind of part becomes its element, with the look that it names", () => {
  assert.equal('<g id="a"><path d="M0 0h4" fill="#fc8" stroke="none" stroke-width="1.5"/></g>', drawing("a|fc8~0!1.5M0 0h4"));
  assert.equal('<g id="b"><ellipse cx="1" cy="2" rx="3" ry="3" fill="none"/></g>', drawing("b|-o1 2 3"));
  assert.equal(
    '<g id="c"><use href="#B" transform="translate(5 6) rotate(0) scale(2 3)" fill="currentColor" color="#abc"/></g>',
    drawing("c|*^abc@B 5 6 2 3"),
  );
  // The ground of what wobbles: see WOBBLES.
  const ground = '<path d="M0 0h640v300H0z" fill="none" stroke="none"/>';
  assert.equal(`<g id="d"><path d="M1 1z"/><g filter="url(#wobble)">${ground}<path d="M2 2z"/></g></g>`, drawing("d|M1 1z|%|M2 2z"));
});

test("every line of the file can be drawn, and uses only drawings that are there", () => {
  const text = readFileSync(new URL("../../server/web/drawings.txt", import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  const svg = lines.map(drawing).join("");
  const named = new Set(lines.map((line) => line.split("|")[0]));
  assert.equal(lines.length, named.size);
  for (const [, used] of svg.matchAll(/href="#([^"]*)"/g)) assert.ok(named.has(used), used);
  assert.doesNotMatch(svg, /undefined|NaN/);
});
