/** What one tab says to the server, and when. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Conversation, readKept, SEQ_WINDOW } from "../../server/web/conversation.js";

const NOW_MS = 1_000_000;

/** A conversation whose connection is open and whose `session` is answered. */
function joined(kept = { client: "tab" }, lastSeq = 0) {
  const talk = new Conversation(kept);
  open(talk, lastSeq);
  return talk;
}

function open(talk, lastSeq = 0) {
  talk.opened();
  talk.useToken("good");
  const [session] = sent(talk);
  answer(talk, session, { last_seq: lastSeq });
}

const sent = (talk, nowMs = NOW_MS) => talk.frames(nowMs).map((frame) => JSON.parse(frame));
const reply = (request, type, data) =>
  JSON.stringify({ message_type: "response", request_id: request.request_id, request_type: type, data });
const answer = (talk, request, data = {}) => talk.receive(reply(request, request.request_type, data), NOW_MS);
const refuse = (talk, request, data) => talk.receive(reply(request, "error", data), NOW_MS);
const seqs = (frames) => frames.map((frame) => frame.data.seq);

test("a connection is opened by a session with the client, and nothing else goes before its answer", () => {
  const talk = new Conversation({ client: "tab" });
  talk.request("cook");
  talk.useToken("good");
  assert.deepEqual([], talk.frames(NOW_MS));
  talk.opened();
  const frames = sent(talk);
  assert.equal(1, frames.length);
  assert.deepEqual({ token: "good", client: "tab" }, frames[0].data);
  assert.deepEqual([], talk.frames(NOW_MS));
  answer(talk, frames[0]);
  assert.equal(true, talk.joined);
  const [cook] = sent(talk);
  assert.deepEqual({ token: "good", client: "tab", seq: 1 }, cook.data);
  assert.equal("request", cook.message_type);
});

test("reads carry neither client nor seq, and each request has an id of its own", () => {
  const talk = joined();
  talk.request("level_check");
  talk.request("upgrade_buy", { id: 7 });
  const [read, buy] = sent(talk);
  assert.deepEqual({ token: "good" }, read.data);
  assert.deepEqual({ token: "good", id: 7, client: "tab", seq: 1 }, buy.data);
  assert.notEqual(read.request_id, buy.request_id);
});

test("what had no answer is sent again in order after a reconnect, before newer requests", () => {
  const talk = joined();
  for (const type of ["cook", "cook", "sell"]) talk.request(type);
  const [first] = sent(talk);
  answer(talk, first);
  talk.lost();
  assert.equal(2, talk.toResend);
  talk.request("cook");
  open(talk);
  const again = sent(talk);
  assert.deepEqual([2, 3, 4], seqs(again));
  assert.deepEqual(["cook", "sell", "cook"], again.map((frame) => frame.request_type));
  for (const frame of again) answer(talk, frame);
  assert.equal(0, talk.toResend);
  assert.equal(false, talk.inFlight);
});

test("requests that the session says were applied are sent again, but no longer expected to change anything", () => {
  const talk = joined();
  for (let i = 0; i < 3; i++) talk.request("cook");
  sent(talk);
  talk.lost();
  assert.equal(3, talk.unanswered.length);
  open(talk, 2);
  assert.deepEqual([3], talk.unanswered.map((entry) => entry.seq));
  assert.deepEqual([1, 2, 3], seqs(sent(talk)));
});

test("numbers of a client that the server knows go on above its last one", () => {
  const talk = joined({ client: "tab", seq: 3 }, 90);
  talk.request("cook");
  assert.deepEqual([91], seqs(sent(talk)));
});

test("no number leaves the server's window, however long the oldest is unanswered", () => {
  const talk = joined();
  let taken = 0;
  while (talk.request("cook")) taken += 1;
  assert.equal(SEQ_WINDOW, taken);
  const frames = sent(talk);
  answer(talk, frames[1]);
  assert.equal(null, talk.request("cook"));
  assert.notEqual(null, talk.request("level_check"));
  answer(talk, frames[0]);
  assert.notEqual(null, talk.request("cook"));
});

test("a refused token stops everything, and the next one sends again what was refused, with the same seq", () => {
  const talk = joined();
  talk.request("cook");
  talk.request("cook");
  const [one, two] = sent(talk);
  assert.equal("token", refuse(talk, one, { code: "token_invalid" }).kind);
  talk.request("sell");
  assert.deepEqual([], talk.frames(NOW_MS));
  talk.useToken("better");
  assert.deepEqual([], talk.frames(NOW_MS), "the second is still in flight");
  assert.equal("later", refuse(talk, two, { code: "token_invalid" }).kind, "the old token is no news");
  const again = sent(talk);
  assert.deepEqual([1, 2, 3], seqs(again));
  assert.deepEqual(["better", "better", "better"], again.map((frame) => frame.data.token));
});

test("after rate_limited and unavailable it waits as long as the server said, and at least through the pause", () => {
  const talk = joined();
  talk.request("cook");
  refuse(talk, sent(talk)[0], { code: "rate_limited", retry_after_ms: 20 });
  assert.equal(250, talk.waitMs(NOW_MS));
  assert.deepEqual([], talk.frames(NOW_MS + 249));
  const [again] = sent(talk, NOW_MS + 250);
  refuse(talk, again, { code: "unavailable", retry_after_ms: 900, maybe_applied: true });
  assert.equal(900, talk.waitMs(NOW_MS));
  assert.deepEqual([1], seqs(sent(talk, NOW_MS + 900)));
});

test("session_required makes it greet again before the request is repeated", () => {
  const talk = joined();
  talk.request("cook");
  refuse(talk, sent(talk)[0], { code: "session_required" });
  const [session, ...rest] = sent(talk);
  assert.equal("session", session.request_type);
  assert.deepEqual([], rest);
  answer(talk, session);
  assert.deepEqual([1], seqs(sent(talk)));
});

test("a refusal by the rules is final, and its number is free", () => {
  const talk = joined();
  const asked = talk.request("upgrade_buy", { id: 9 });
  const refused = refuse(talk, sent(talk)[0], { code: "not_enough_money", message: "not enough money" });
  assert.deepEqual(["refused", "not_enough_money"], [refused.kind, refused.type]);
  assert.equal(asked, refused.request);
  assert.deepEqual([], talk.unanswered);
});

test("copies for this tab are distinguished from answers, and strange ids are noise", () => {
  const talk = joined();
  talk.request("cook");
  const [cook] = sent(talk);
  assert.equal("told", talk.receive(reply({ request_id: "" }, "cook", { dishes: 5 }), NOW_MS).kind);
  assert.equal("noise", talk.receive(reply({ request_id: "77" }, "cook", {}), NOW_MS).kind);
  assert.equal("noise", talk.receive(reply({ request_id: "" }, "error", { code: "invalid_message" }), NOW_MS).kind);
  assert.equal("answer", answer(talk, cook).kind);
});

test("the next page of the tab goes on where this one was left", () => {
  const talk = joined();
  talk.request("cook");
  talk.request("upgrade_buy", { id: 2, count: 10 });
  sent(talk);
  const next = joined(JSON.parse(JSON.stringify(talk.kept())), 1);
  assert.equal("tab", next.client);
  assert.deepEqual([{ id: 2, count: 10 }], next.unanswered.map((entry) => entry.data));
  next.request("sell");
  assert.deepEqual([1, 2, 3], seqs(sent(next)));
});

test("what an earlier page kept is taken where it is whole and of the same player", () => {
  const before = joined();
  before.request("cook");
  before.request("upgrade_buy", { id: 7 });
  const kept = { ...before.kept(), userId: "4" };
  const { userId, ...whole } = kept;
  assert.deepEqual(whole, readKept(JSON.stringify(kept), userId));
  assert.equal(null, readKept(JSON.stringify(kept), "5"));
  const [cook, buy] = kept.waiting;
  const damages = [
    { client: "" },
    { client: 7 },
    { client: "x".repeat(65) },
    { seq: "2" },
    { seq: 1 },
    { waiting: {} },
    { waiting: [buy, cook] },
    { waiting: [null] },
    { waiting: [{ ...cook, type: "session" }] },
    { waiting: [cook, { ...buy, data: {} }] },
    { waiting: [cook, { ...buy, data: { id: 7, count: "10" } }] },
    { waiting: Array(SEQ_WINDOW + 1).fill(cook) },
  ];
  for (const damage of damages) assert.equal(null, readKept(JSON.stringify({ ...kept, ...damage }), "4"), JSON.stringify(damage));
  for (const text of [null, "", "{", "null", "7", "[]"]) assert.equal(null, readKept(text, "4"));
});
