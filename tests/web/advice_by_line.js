/** Reads `{game, pace}` lines, writes what the page advises for each: a test compares it with the simulator. */

import { createInterface } from "node:readline";

import { advise } from "../../server/web/advice.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { game, pace } = JSON.parse(line);
  game.upgrades = new Map(game.upgrades.map((upgrade) => [upgrade.id, upgrade]));
  const advice = advise(game, pace);
  console.log(JSON.stringify(advice && [advice.id, advice.waitS, advice.seconds, advice.xpS]));
}
