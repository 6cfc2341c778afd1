/** The player's pace, and what the page says of what pays back first. Which one that is, the Python model knows. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { advise, Pace, wordsFor } from "../../server/web/advice.js";

const USUAL = 4;

/** Counts clicks at even steps and returns the moment of the last. */
function click(pace, fromMs, toMs, everyMs) {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += everyMs) pace.count(nowMs);
  return toMs;
}

function upgrade(id, type, boostType, value, price, times_bought = 0) {
  return { id, upgrade_type: type, price, price_factor: 1, access_level: 0, boost: { boost_type: boostType, value }, times_bought };
}

/** A kitchen with the sandwich, where each press sells one dish for 1. */
function game(dishes, ...upgrades) {
  const all = [upgrade(1, "dish", "mPc", 1, 0, 1), ...upgrades];
  return { money: 50, dishes, rank: 0, boost: 0, upgrades: new Map(all.map((one) => [one.id, one])) };
}

test("the pace is the usual one until ten seconds of clicks have shown another", () => {
  const pace = new Pace();
  assert.equal(USUAL, pace.perS(0));
  assert.equal(USUAL, pace.perS(500_000));
  click(pace, 500_000, 509_900, 100);
  assert.equal(USUAL, pace.perS(509_999));
  assert.equal(10, pace.perS(510_000));
});

test("the pace is that of the last minute, to the half, and none after a minute of rest", () => {
  const pace = new Pace();
  let nowMs = click(pace, 0, 120_000, 100);
  assert.equal(10, pace.perS(nowMs));
  assert.equal(5, pace.perS(nowMs + 30_000));
  assert.equal(0, pace.perS(nowMs + 60_000));
  nowMs = click(pace, 200_000, 300_000, 700);
  assert.equal(1.5, pace.perS(nowMs));
});

test("a pace after a rest is measured from its first click on", () => {
  const pace = new Pace();
  click(pace, 0, 60_000, 50);
  assert.equal(0, pace.perS(300_000));
  click(pace, 300_000, 320_000, 500);
  assert.equal(2, pace.perS(320_000));
});

test("with a large stock it is selling more at once that pays back first, and the stock says why", () => {
  const [cooking, selling] = [upgrade(2, "equipment", "dPc", 1, 40), upgrade(3, "staff", "sPs", 1, 40)];
  assert.equal(2, advise(game(0, cooking, selling), 4).id);
  const advice = advise(game(6240, cooking, selling), 4);
  assert.deepEqual({ id: 3, waitS: 0, seconds: 10, xpS: 0, stockS: 1560 }, advice);
  assert.deepEqual([{ key: "stockLasts", spans: [1560] }, { key: "soonest", spans: [10] }], wordsFor(advice, selling));
});

test("a stock that grows although each click sells has no end", () => {
  const selling = upgrade(3, "staff", "sPs", 1, 40);
  const advice = advise(game(10, upgrade(2, "staff", "dPs", 20, 1e9, 1), selling), 4);
  assert.deepEqual({ id: 3, waitS: 0, seconds: 10, xpS: 0, stockS: Infinity }, advice);
  assert.deepEqual([{ key: "stockStays", spans: [] }, { key: "soonest", spans: [10] }], wordsFor(advice, selling));
});

test("what cannot be afforded yet comes with the time to save for it", () => {
  const selling = upgrade(3, "staff", "sPs", 1, 60);
  const advice = advise(game(6240, selling), 4);
  assert.deepEqual({ id: 3, waitS: 2.5, seconds: 17.5, xpS: 0, stockS: 1560 }, advice);
  assert.deepEqual({ key: "soonestSaved", spans: [2.5, 15] }, wordsFor(advice, selling)[1]);
});

test("a stock is named in whole minutes, from two minutes on, and only where it is the reason", () => {
  const [selling, dish] = [upgrade(3, "staff", "sPs", 1, 60), upgrade(4, "dish", "mPc", 1, 60)];
  const advice = { id: 3, waitS: 0, seconds: 15, xpS: 0, stockS: 1571 };
  const soonest = { key: "soonest", spans: [15] };
  assert.deepEqual([{ key: "stockLasts", spans: [1560] }, soonest], wordsFor(advice, selling));
  assert.deepEqual([soonest], wordsFor({ ...advice, stockS: 119 }, selling));
  assert.deepEqual([soonest], wordsFor(advice, dish));
});

test("hands that rest are advised by what comes by itself, and at the usual pace where nothing does", () => {
  const [cooking, itself] = [upgrade(2, "equipment", "dPc", 1, 40), upgrade(3, "point", "mPs", 1, 40)];
  assert.equal(3, advise(game(600, cooking, itself), 0).id);
  assert.deepEqual(advise(game(0, cooking), USUAL), advise(game(0, cooking), 0));
  assert.equal(null, advise(game(0, upgrade(2, "staff", "mpM", 1, 40)), 4));
});

test("what costs less than half of what play for as much xp earns is bought for its xp, the cheapest first", () => {
  const [dear, cheap, itself] = [upgrade(2, "equipment", "dPc", 1, 24), upgrade(3, "equipment", "dPc", 1, 23), upgrade(4, "dish", "mPc", 1, 30)];
  // 5 xp of 100 take 1.25 s by 4 clicks a second, which earn 2 a second; 5 % of 2000 xp take 25 s.
  const kitchen = game(0, dear, cheap, itself);
  assert.equal(0, advise({ ...kitchen, need: 100, stars: 0 }, 4).xpS);
  const advice = advise({ ...kitchen, need: 2000, stars: 0 }, 4);
  assert.deepEqual([3, 25], [advice.id, advice.xpS]);
  assert.deepEqual([{ key: "worthItsXp", spans: [25] }], wordsFor(advice, cheap));
  assert.equal(4, advise({ ...kitchen, need: null, stars: 0 }, 4).id);
  assert.equal(4, advise({ ...kitchen, need: undefined, stars: 0 }, 4).id);
});
