/** Numbers and times as people read them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { precise, readable, span, step } from "../../server/web/numbers.js";

const plain = (text) => text.replace(/\s/g, " ");

test("numbers are whole up to a million, then have units, then powers, and are never rounded up", () => {
  const expected = [
    ["0", 0],
    ["999,999", 999_999],
    ["1 M", 1_000_000],
    ["1.25 M", 1_259_999],
    ["999.99 M", 999_999_999],
    ["1 B", 1e9],
    ["34.5 T", 3.45e13],
    ["999.99 T", 999_999_999_999_999],
    ["1e15", 1e15],
    ["1.79e300", 1.7999e300],
  ];
  for (const [text, value] of expected) assert.equal(text, plain(readable(value, "en")));
});

test("decimals are shown where they were asked for, and only below a thousand", () => {
  assert.equal("11.5", readable(11.5, "en", 1));
  assert.equal("0.29", readable(0.29, "en", 2));
  assert.equal("1,234", readable(1234.5, "en", 1));
  assert.equal("1,25 млн", plain(readable(1.25e6, "ru")));
});

test("before and after are never shown as the same number where they differ", () => {
  const shown = (before, after, ...more) => plain(step(before, after, "en", ...more).join(" → "));
  assert.equal("1 → 1.5", shown(1, 1.5));
  assert.equal("3,114.2 → 3,114.9", shown(3114.2, 3114.9));
  assert.equal("999,999.5 → 1 M", shown(999_999.5, 1_000_000));
  assert.equal("1.25 M → 1.5 M", shown(1_250_000, 1_500_000));
  assert.equal("1.2345 M → 1.2346 M", shown(1_234_500, 1_234_600));
  assert.equal("1.2345e20 → 1.2346e20", shown(1.2345e20, 1.2346e20));
  assert.equal("1 B → 1.00000001 B", shown(1e9, 1e9 + 10));
  assert.equal("5,931.6 → 5,931.6001", shown(5931.6, 5931.6001, 4));
  assert.equal("7 → 7", shown(7, 7));
  for (let exponent = 0; exponent < 300; exponent++) {
    const before = 1.2345678 * 10 ** exponent;
    const [from, to] = step(before, before * 1.00001, "ru", 12);
    assert.notEqual(from, to, `${before}`);
  }
});

test("the parts of a sum keep their decimals up to a million", () => {
  assert.equal("1,234.56", precise(1234.56, "en"));
  assert.equal("1.23 M", plain(precise(1_234_567.8, "en")));
});

test("times are shown in their two largest units", () => {
  assert.equal("1 s", plain(span(0.2, "en")));
  assert.equal("1 min 5 s", plain(span(65, "en")));
  assert.equal("2 h", plain(span(7200, "en")));
  assert.equal("1 д 3 ч", plain(span(86400 + 3 * 3600 + 125, "ru")));
});
