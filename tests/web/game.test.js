/** The game as the server told it, and as it is expected to be. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Game } from "../../server/web/game.js";

const upgrade = (id, type, boost, value, more = {}) => ({
  id,
  upgrade_type: type,
  price: 10,
  price_factor: 1.5,
  access_level: 0,
  times_bought: 0,
  boost: { boost_type: boost, value },
  ...more,
});

const session = (version, more = {}) => ({
  version,
  saved_version: version - 1,
  session: {
    user_id: 4,
    user_email: "a@example.com",
    money: 9,
    dishes: 2,
    level: { rank: 4, xp: 11.5 },
    prestige: { current_value: 1, current_boost_value: 1.1, accumulated_value: 0.5 },
    upgrades: {
      available: [upgrade(2, "equipment", "dPc", 1, { times_bought: 1 })],
      current: [upgrade(1, "dish", "mPc", 2, { times_bought: 1 }), upgrade(2, "equipment", "dPc", 1, { times_bought: 1 })],
    },
    ...more,
  },
});

function started() {
  const game = new Game();
  game.merge("session", session(10));
  return game;
}

test("a session is the whole state; owned and offered upgrades are one shelf", () => {
  const { told, version } = started();
  assert.equal(10, version);
  assert.deepEqual([1, 2], [...told.upgrades.keys()]);
  const { money, dishes, rank, xp, need, stars, boost, accumulated } = told;
  assert.deepEqual([9, 2, 4, 11.5, undefined, 1, 1.1, 0.5], [money, dishes, rank, xp, need, stars, boost, accumulated]);
});

test("what is older than what is known changes nothing, what is as new does", () => {
  const game = started();
  game.merge("cook", { dishes: 7, xp: 12, version: 9 });
  assert.equal(2, game.told.dishes);
  game.merge("cook", { dishes: 7, xp: 12, version: 10 });
  assert.equal(7, game.told.dishes);
});

test("a rank's need is known from level_check and level_up, and unknown after a reset", () => {
  const game = started();
  game.merge("level_check", { current_rank: 4, current_xp: 11.5, needed_xp: 50, version: 10 });
  assert.equal(50, game.told.need);
  game.merge("level_up", { current_rank: 4, current_xp: 12, version: 11 });
  assert.equal(50, game.told.need, "the rank did not rise");
  game.merge("level_up", { current_rank: 5, current_xp: 0, next_xp: 60, version: 12 });
  assert.equal(60, game.told.need);
  game.merge("passive", { money: 1, dishes: 1, level_rank: 5, level_xp: 2, prestige_accumulated: 0.6, version: 13 });
  assert.equal(60, game.told.need);
  game.merge("level_up", { current_rank: 100, current_xp: 0, version: 14 });
  assert.equal(null, game.told.need, "no rank follows");
  const prestige = { current_value: 2, current_boost_value: 2.2, accumulated_value: 0 };
  game.merge("session_reset", { money: 0, dishes: 0, level_rank: 0, level_xp: 0, prestige, version: 15 });
  assert.equal(undefined, game.told.need);
  assert.deepEqual([0, 0], [...game.told.upgrades.values()].map((each) => each.times_bought));
  assert.equal(2.2, game.told.boost);
});

test("a purchase of another tab is counted on the shelf", () => {
  const game = started();
  game.merge("upgrade_buy", { money: 1, xp: 13, id: 2, times_bought: 2, version: 11 });
  assert.equal(2, game.told.upgrades.get(2).times_bought);
});

test("unanswered requests are seen at once, and told by the server they are not seen twice", () => {
  const game = started();
  const cook = { type: "cook", data: {} };
  assert.equal(6, game.expected([cook, cook]).dishes);
  game.merge("cook", { dishes: 4, xp: 12.55, version: 11 });
  assert.equal(6, game.expected([cook]).dishes);
  assert.equal(4, game.told.dishes);
});

test("a request that the rules refuse is left out of what is expected", () => {
  const game = started();
  const buy = { type: "upgrade_buy", data: { id: 2 } };
  const sell = { type: "sell", data: {} };
  assert.equal(9, game.expected([buy]).money);
  const expected = game.expected([sell, sell, sell, buy]);
  assert.deepEqual([0, 0], [expected.dishes, expected.money]);
  assert.equal(2, expected.upgrades.get(2).times_bought);
});
