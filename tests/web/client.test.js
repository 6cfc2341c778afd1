/** The client library around its core: the socket, the log-in, the page's life, and what its owner hears. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Account, connect, MemoryStore, NotSent, readKept, Refused, SEQ_WINDOW, WebStore } from "../../clients/js/lib/click-and-cook.js";

const LIFE_S = 900;

class Texts extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, text) => this.set(key, text);
  removeItem = (key) => this.delete(key);
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (name, id = "4") => `${name}.${encoded({ id, iat: 1000, exp: 1000 + LIFE_S, name })}.x`;
const pair = (name, id) => ({ access: token(name, id), refresh: name, sinceMs: Date.now() });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What a client sees of the world: sockets that a test opens and answers on, routes over HTTP, the page's events. */
function world({ store = new MemoryStore(), tab, routes = {}, ...more } = {}) {
  const sockets = [];
  class FakeSocket {
    sent = [];
    closed = null;
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close(code) {
      this.closed = code ?? "dropped";
    }
    say(request, type, data) {
      const message = { message_type: "response", request_id: request.request_id, request_type: type, data };
      this.onmessage({ data: JSON.stringify(message) });
    }
    answer(request, data = {}) {
      this.say(request, request.request_type, data);
    }
    /** Opens, and answers the `session`. */
    join(lastSeq = 0) {
      this.onopen({});
      this.answer(this.sent[0], session(lastSeq));
    }
  }
  const asked = [];
  globalThis.fetch = async (url, { method, headers }) => {
    const path = new URL(url).pathname;
    asked.push(`${method} ${path} ${headers.Authorization ?? ""}`.trim());
    const [status, body] = routes[path]?.() ?? [404, { status: 8, message: "not found" }];
    return { ok: status === 200, status, headers: new Map([["Retry-After", "2"]]), json: async () => body };
  };
  const page = Object.assign(new EventTarget(), { document: { hidden: false }, navigator: { onLine: true } });
  const options = { store, tab, page, WebSocket: FakeSocket, random: () => 0, retryFirstMs: 1, ...more };
  const player = connect("http://game.example/", options);
  const events = [];
  player.subscribe((event) => events.push(event));
  return { player, sockets, asked, page, events, kinds: () => events.map(({ kind }) => kind) };
}

const session = (lastSeq = 0, version = 5) => ({
  session: {
    user_id: 4,
    user_email: "",
    money: 3,
    dishes: 2,
    level: { rank: 0, xp: 1 },
    prestige: { current_value: 0, current_boost_value: 0, accumulated_value: 0 },
    upgrades: {
      available: [],
      current: [{ id: 1, upgrade_type: "dish", price: 0, price_factor: 1, access_level: 0, times_bought: 1, boost: { boost_type: "mPc", value: 1 } }],
    },
  },
  version,
  saved_version: 4,
  last_seq: lastSeq,
});

const loggedIn = (more) => {
  const store = new MemoryStore();
  store.save(pair("good"));
  return world({ store, ...more });
};

test("a log-in from the store is played with at once; answers, pushes and refusals reach their owner", async () => {
  const { player, sockets, events } = loggedIn();
  await turn();
  const [socket] = sockets;
  assert.equal("ws://game.example/ws", socket.url);
  socket.join();
  assert.deepEqual(["joined", 2], [player.status.name, player.state.dishes]);
  const cooked = player.cook(3);
  const bought = player.upgradeBuy(9);
  assert.equal(5, player.optimistic.dishes);
  const [cook, buy] = socket.sent.slice(1);
  assert.deepEqual([3, 1, token("good")], [cook.data.count, cook.data.seq, cook.data.token]);
  socket.answer(cook, { dishes: 5, xp: 4, applied: 3, version: 6 });
  socket.say(buy, "error", { code: "upgrade_not_found", message: "upgrade not found" });
  assert.equal(3, (await cooked).applied);
  await assert.rejects(bought, (error) => error instanceof Refused && error.code === "upgrade_not_found" && !error.retryable);
  socket.say({ request_id: "" }, "passive", { money: 9, dishes: 5, level_rank: 0, level_xp: 4, prestige_accumulated: 0, version: 7, saved_version: 6 });
  assert.deepEqual([9, 7, 6], [player.state.money, player.state.version, player.state.savedVersion]);
  const { type, code } = events.find(({ kind }) => kind === "refused");
  assert.deepEqual(["upgrade_buy", "upgrade_not_found"], [type, code]);
  assert.equal("passive", events.find(({ kind }) => kind === "push").type);
  player.stop();
  assert.equal(1000, socket.closed);
});

test("past sixty-four unanswered requests wait for room, and an end says of each whether it was sent", async () => {
  const { player, sockets, events } = loggedIn();
  await turn();
  sockets[0].join();
  const answers = Array.from({ length: SEQ_WINDOW + 2 }, () => player.cook());
  assert.deepEqual([SEQ_WINDOW + 1, SEQ_WINDOW + 2, false], [sockets[0].sent.length, player.unanswered, player.hasRoom]);
  sockets[0].answer(sockets[0].sent[1], { dishes: 3, xp: 2, applied: 1, version: 6 });
  assert.equal(SEQ_WINDOW + 2, sockets[0].sent.length);
  const unsent = await player.close(1);
  assert.deepEqual([true, false], [unsent[0].maybeApplied, unsent.at(-1).maybeApplied]);
  assert.equal(SEQ_WINDOW + 1, unsent.length);
  await assert.rejects(answers.at(-1), (error) => error instanceof NotSent && !error.maybeApplied);
  await assert.rejects(player.cook(), NotSent);
  assert.equal(unsent, events.find(({ kind }) => kind === "ended").unsent);
});

test("a log-in begins the game, a claim gives the next request its token, and a log-out ends both", async () => {
  const tokens = (name) => () => [200, { status: 0, tokens: { access_token: token(name), refresh_token: name } }];
  const routes = { "/guest": tokens("guest"), "/claim": tokens("claimed"), "/logout": () => [200, { status: 0 }] };
  const { player, sockets, asked } = world({ routes });
  assert.equal("logged_out", player.status.name);
  await player.guest();
  await turn();
  sockets[0].join();
  await player.claim("a@example.com", "correct horse");
  player.cook();
  assert.equal(token("claimed"), sockets[0].sent[1].data.token);
  await player.logOut();
  assert.deepEqual(["POST /guest", `POST /claim Bearer ${token("guest")}`, "POST /logout Bearer claimed"], asked);
  assert.deepEqual(["ended", null], [player.status.name, player.account.store.load()]);
  assert.equal(1000, sockets[0].closed);
});

test("an old token is renewed before the first socket; where the server does not answer, the log-in is kept", async () => {
  const store = new MemoryStore();
  store.save({ ...pair("old"), sinceMs: Date.now() - 0.8 * LIFE_S * 1000 });
  let isUp = false;
  const fresh = [200, { status: 0, tokens: { access_token: token("fresh"), refresh_token: "next" } }];
  const routes = { "/refresh": () => (isUp ? fresh : [503, { status: 6, message: "service unavailable" }]) };
  const { player, sockets } = world({ store, routes });
  await turn();
  assert.deepEqual([0, "old"], [sockets.length, store.load().refresh]);
  isUp = true;
  player.start();
  await turn();
  sockets[0].onopen({});
  assert.deepEqual([token("fresh"), "next"], [sockets[0].sent[0].data.token, store.load().refresh]);
  player.stop();
});

test("a log-in that the server no longer knows ends the client and is forgotten", async () => {
  const routes = { "/refresh": () => [401, { status: 1, message: "token invalid" }] };
  const { player, sockets, events } = loggedIn({ routes });
  await turn();
  sockets[0].join();
  sockets[0].onclose({ code: 4001 });
  await turn();
  assert.equal("revoked", events.find(({ kind }) => kind === "ended").reason);
  assert.equal(null, player.account.store.load());
});

test("a page that is frozen, or kept in the browser's cache, leaves its socket and goes on when it is back", async () => {
  for (const [gone, back] of [["freeze", "resume"], ["pagehide", "pageshow"]]) {
    const tab = new Texts();
    const { player, sockets, page } = loggedIn({ tab });
    await turn();
    sockets[0].join();
    player.cook();
    page.dispatchEvent(new Event(gone));
    assert.deepEqual(["offline", 1000], [player.status.name, sockets[0].closed]);
    assert.equal(1, tab.size);
    player.cook();
    page.dispatchEvent(new Event(back));
    assert.equal(0, tab.size);
    sockets[1].join(1);
    assert.deepEqual([1, 2], sockets[1].sent.slice(1).map(({ data }) => data.seq));
    assert.equal(sockets[0].sent[0].data.client, sockets[1].sent[0].data.client);
    player.stop();
  }
});

test("the next page of a tab takes what this one left; this one, back from the cache, begins with another client", async () => {
  const tab = new Texts();
  const first = loggedIn({ tab });
  await turn();
  first.sockets[0].join();
  const cooked = first.player.cook();
  first.page.dispatchEvent(new Event("pagehide"));
  const next = loggedIn({ tab });
  await turn();
  next.sockets[0].join(1);
  const [greeting, again] = next.sockets[0].sent;
  assert.equal(first.sockets[0].sent[0].data.client, greeting.data.client);
  assert.equal(1, again.data.seq);
  assert.equal(2, next.player.optimistic.dishes, "the session has it already");
  first.page.dispatchEvent(new Event("pageshow"));
  await assert.rejects(cooked, (error) => error instanceof NotSent && error.maybeApplied);
  await turn();
  first.sockets[1].join();
  assert.notEqual(greeting.data.client, first.sockets[1].sent[0].data.client);
  assert.equal(1, first.sockets[1].sent.length);
  first.page.dispatchEvent(new Event("pagehide"));
  next.player.stop();
  const last = loggedIn({ tab });
  await turn();
  last.player.cook();
  last.page.dispatchEvent(new Event("pagehide"));
  first.page.dispatchEvent(new Event("pageshow"));
  await turn();
  const back = first.sockets.at(-1);
  back.join();
  assert.deepEqual([last.player.kept().client, 1], [back.sent[0].data.client, back.sent[1].data.seq], "and what is left there");
  first.player.stop();
  last.player.stop();
});

test("after a sleep the connection is tried, and left where nothing comes", async (t) => {
  const { now } = Date;
  let sleptMs = 0;
  t.mock.method(Date, "now", () => now() + sleptMs);
  const { player, sockets } = loggedIn({ probeAfterMs: 20, probeTimeoutMs: 20 });
  await turn();
  sockets[0].join();
  sleptMs = 60_000;
  for (const startMs = now(); sockets.length < 2 && now() - startMs < 60_000; ) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal("level_check", sockets[0].sent[1].request_type);
  assert.deepEqual(["dropped", 2], [sockets[0].closed, sockets.length]);
  player.stop();
});

test("numbers that another page of the tab has used are not used again for what was never sent", async () => {
  const { player, sockets } = loggedIn();
  await turn();
  player.cook();
  player.cook();
  sockets[0].join(1);
  const [greeting, ...cooks] = sockets[0].sent;
  assert.equal("session", greeting.request_type);
  assert.deepEqual([3, 4], cooks.map(({ data }) => data.seq));
  player.stop();
});

test("without a network nothing is tried, and with it at once", async () => {
  const { player, sockets, page } = loggedIn();
  await turn();
  sockets[0].join();
  page.navigator.onLine = false;
  page.dispatchEvent(new Event("offline"));
  sockets[0].onclose({ code: 1006 });
  assert.equal("offline", player.status.name);
  page.navigator.onLine = true;
  page.dispatchEvent(new Event("online"));
  assert.equal(2, sockets.length);
  player.stop();
});

test("what an earlier page kept is taken where it is whole and of the same player", () => {
  const waiting = [
    { type: "cook", data: { count: 2 }, seq: 1 },
    { type: "upgrade_buy", data: { id: 7 }, seq: 2 },
  ];
  const kept = { client: "tab", seq: 2, waiting, userId: "4" };
  const { userId, ...whole } = kept;
  assert.deepEqual(whole, readKept(kept, userId));
  assert.equal(null, readKept(kept, "5"));
  const [cook, buy] = waiting;
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
    { waiting: [{ ...cook, data: { count: "2" } }] },
    { waiting: [cook, { ...buy, data: {} }] },
    { waiting: Array(SEQ_WINDOW + 1).fill(cook) },
  ];
  for (const damage of damages) assert.equal(null, readKept({ ...kept, ...damage }, "4"), JSON.stringify(damage));
  for (const nothing of [null, 7, [], "text"]) assert.equal(null, readKept(nothing, "4"));
});

test("a store that tabs share waits for another one's change of the account, and forgets a mark that is old", () => {
  const texts = new Texts();
  const store = new WebStore(texts);
  store.save(pair("good"));
  assert.equal("good", store.load().refresh);
  texts.set("click-and-cook.tokens", "{");
  assert.equal(null, store.load());
  assert.equal(false, store.busy);
  texts.set("click-and-cook.tokens.changing", String(Date.now()));
  assert.equal(true, store.busy);
  texts.set("click-and-cook.tokens.changing", String(Date.now() - 60_000));
  assert.equal(false, store.busy);
});

test("of two tabs that claim at once without locks the second waits for the pair of the first", async () => {
  const texts = new Texts();
  new WebStore(texts).save(pair("old"));
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  const answer = (status, body) => ({ ok: status === 200, status, headers: new Map(), json: async () => body });
  let tell;
  const first = new Promise((resolve) => (tell = resolve));
  let asked = 0;
  globalThis.fetch = async (_url, { headers }) => {
    asked++;
    if (asked === 1) return first;
    if (headers.Authorization.includes("new")) return answer(409, { status: 4, message: "claimed already" });
    return answer(401, { status: 2, message: "token invalid" });
  };
  const claim = () => new Account("http://game.example", new WebStore(texts)).change("/claim", {});
  const [winner, loser] = [claim(), claim()];
  while (asked < 3) await turn(); // the loser's claim, and its renewal
  for (let turns = 0; turns < 10; turns++) await turn();
  assert.equal("old", new WebStore(texts).load()?.refresh, "the second tab forgot the log-in of both");
  tell(answer(200, { tokens: { access_token: token("new"), refresh_token: "new" } }));
  await winner;
  await assert.rejects(loser, { httpStatus: 409 });
  assert.equal("new", new WebStore(texts).load().refresh);
});
