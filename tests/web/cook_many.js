/**
 * Plays against a real server: `node cook_many.js URL CLICKS`. Registers, buys the sandwich, cooks so many times, and
 * writes a line of what it counted. On the way it writes a line for each hundredth answer and for each reason to wait, so
 * that a test knows how far it is.
 */

import { connect } from "../../clients/js/lib/client.js";

const [url, clicks] = process.argv.slice(2);
const count = Number(clicks);
const player = connect(url, { answerTimeoutMs: 1000 });
const seen = { clicks: count, answered: 0, duplicates: 0, resent: 0, connections: 0, wentBack: 0, lost: 0, refused: 0 };
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
const answers = Array.from({ length: count }, async () => {
  const { duplicate } = await player.cook();
  seen.answered += 1;
  if (duplicate) seen.duplicates += 1;
  if (seen.answered % 100 === 0) console.log(`answered ${seen.answered}`);
});
await Promise.all(answers);
const expected = player.optimistic.dishes;
const { session } = await player.session();
const unsent = await player.close();
console.log(JSON.stringify({ ...seen, expected, dishes: session.dishes, unsent: unsent.length }));
