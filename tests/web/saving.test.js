/** Whether what the player did is kept, as the page says it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Saving } from "../../server/web/saving.js";

test("what is answered is kept, however long one plays, and one question in half a minute is enough", () => {
  const saving = new Saving();
  let asked = 0;
  for (let nowMs = 0; nowMs < 300_000; nowMs += 100) {
    saving.changed(1000 + nowMs, nowMs);
    assert.equal(true, saving.isSafe(1, nowMs));
    if (!saving.asks(nowMs)) continue;
    asked += 1;
    saving.told(1000 + nowMs - 2000);
    assert.equal(true, saving.isSafe(1, nowMs));
  }
  assert.ok(asked > 5 && asked <= 10, `${asked} questions`);
});

test("a change without an answer is not kept, until the answer comes", () => {
  const saving = new Saving();
  assert.equal(true, saving.isSafe(0, 0));
  assert.equal(true, saving.isSafe(1, 1000));
  assert.equal(false, saving.isSafe(1, 5000));
  saving.changed(7, 5100);
  assert.equal(true, saving.isSafe(0, 5100));
});

test("where PostgreSQL is behind, that is said, and asked again until it has caught up", () => {
  const saving = new Saving();
  saving.changed(50, 0);
  saving.told(40);
  assert.equal(true, saving.isSafe(0, 100));
  assert.equal(false, saving.asks(29_000));
  assert.equal(true, saving.asks(30_000));
  saving.told(49);
  assert.equal(false, saving.isSafe(0, 30_100));
  assert.equal(false, saving.asks(31_000));
  saving.changed(60, 35_000);
  assert.equal(true, saving.asks(41_000));
  saving.told(55);
  assert.equal(true, saving.isSafe(0, 41_100));
});

test("one who rests with everything kept asks nothing", () => {
  const saving = new Saving();
  saving.changed(50, 0);
  assert.equal(true, saving.asks(30_000));
  saving.told(50);
  assert.equal(false, saving.asks(9_000_000));
});
