/**
 * Plays against a real server: `node cook_many.js URL`. Registers, buys the sandwich, cooks until its input ends, and
 * writes a line of what it counted. On the way it writes a line for each hundredth answer and for each reason to wait, so
 * that a test knows how far it is.
 */

import { connect } from "../../clients/js/lib/click-and-cook.js";

/** More than may be unanswered, so that some always wait. */
const AT_ONCE = 100;

const [url] = process.argv.slice(2);
let goesOn = true;
process.stdin.on("end", () => (goesOn = false)).resume();
const player = connect(url, { answerTimeoutMs: 1000 });
const seen = { clicks: 0, answered: 0, duplicates: 0, resent: 0, connections: 0, wentBack: 0, lost: 0, refused: 0 };
let version = 0;
player.subscribe(({ kind, toResend, ...event }) => {
  if (kind === "status") seen.resent = Math.max(seen.resent, toResend);
  if (kind === "status" && event.name === "waiting") console.log(event.reason);
  if (kind === "joined") seen.connections += 1;
  if (kind === "lost") seen.lost += event.count;
  if (kind === "refused") seen.refused += 1;
  if ((player.state?.version ?? 0) < version) seen.wentBack += 1;
  version = player.state?.version ?? 0;
});
await player.register(`node-${process.pid}-${Date.now()}@example.com`, "correct horse battery");
await player.upgradeBuy(1);
async function cook() {
  while (goesOn) {
    seen.clicks += 1;
    const { duplicate } = await player.cook();
    seen.answered += 1;
    if (duplicate) seen.duplicates += 1;
    if (seen.answered % 100 === 0) console.log(`answered ${seen.answered}`);
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, cook));
const expected = player.optimistic.dishes;
const { session } = await player.session();
const unsent = await player.close();
console.log(JSON.stringify({ ...seen, expected, dishes: session.dishes, unsent: unsent.length }));
