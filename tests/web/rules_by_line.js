/** Reads `{game, type, data}` lines, writes what the page's rules make of each: a test compares it with the model. */

import { createInterface } from "node:readline";

import { apply, price, resetPreview } from "../../server/web/rules.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { game, type, data } = JSON.parse(line);
  game.upgrades = new Map(game.upgrades.map((upgrade) => [upgrade.id, upgrade]));
  const after = apply(game, type, data);
  const { money, dishes, xp } = after ?? {};
  const prices = [...game.upgrades.values()].map(price);
  console.log(JSON.stringify({ refused: after === null, money, dishes, xp, prices, reset: resetPreview(game) }));
}
