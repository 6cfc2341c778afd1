/** Numbers and times as people read them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { readable, span } from "../../server/web/numbers.js";

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

test("times are shown in their two largest units", () => {
  assert.equal("1 s", plain(span(0.2, "en")));
  assert.equal("1 min 5 s", plain(span(65, "en")));
  assert.equal("2 h", plain(span(7200, "en")));
  assert.equal("1 д 3 ч", plain(span(86400 + 3 * 3600 + 125, "ru")));
});
