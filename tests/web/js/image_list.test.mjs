import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { installBrowser, load, startServer } from "./browser.mjs";

const { ImageList, isRated, readSnapshot, shownRating } = await load("data/images/image_list.js");

/** What the server sends for images [id, rating or null], the first `limit` of them. */
function encode(images, limit = images.length, starts = []) {
  const sent = images.slice(0, limit);
  const buffer = new ArrayBuffer(16 + 7 * sent.length + 4 * starts.length);
  new Uint32Array(buffer, 0, 4).set([images.length, sent.length, starts.length, 0]);
  new Int32Array(buffer, 16, sent.length).set(sent.map(([id]) => id));
  new Uint32Array(buffer, 16 + 4 * sent.length, starts.length).set(starts);
  const after = 16 + 4 * (sent.length + starts.length);
  new Uint16Array(buffer, after, sent.length).set(sent.map(() => 4096));
  new Uint8Array(buffer, after + 2 * sent.length, sent.length).set(sent.map(([, rating]) => Number(rating !== null)));
  return new Uint8Array(buffer);
}

const buildRow = ([id, rating]) => ({
  digest: `xxh128:${id}`,
  run_id: `run-${id % 2}`,
  places: [{ run_id: `run-${id % 2}` }],
  mine: rating === null ? {} : { rating },
  others: {},
});

let server;
let images;
let list;
let isBroken;

beforeEach(async () => {
  images = [
    [30, null],
    [20, 3],
    [11, null],
    [10, 5],
  ];
  isBroken = false;
  server = await startServer((path) => {
    if (isBroken) return [500, { error: "broken" }];
    const url = new URL(path, "http://127.0.0.1");
    if (url.pathname.endsWith("/snapshot")) return [200, encode(images, Number(url.searchParams.get("limit") ?? 99))];
    const ids = url.searchParams.get("ids").split(",").map(Number);
    return [
      200,
      { images: ids.map((id) => images.find(([known]) => known === id)).map((one) => one && buildRow(one)) },
    ];
  });
  installBrowser({ origin: server.origin });
  list = new ImageList({ query: "", sort: "newest", group: "" });
  list.use(await list.fetch());
});

afterEach(() => server.stop());

test("a list holds every id, and counts what is not rated", () => {
  assert.deepEqual([...list.ids], [30, 20, 11, 10]);
  assert.equal(list.unratedCount, 2);
  assert.equal(list.isWhole, true);
});

test("the first part of a list knows how long the whole is", () => {
  list.use(readSnapshot(encode(images, 2).buffer));
  assert.deepEqual([list.length, list.total, list.isWhole], [2, 4, false]);
});

test("where groups start comes with the list", () => {
  assert.deepEqual([...readSnapshot(encode(images, 4, [0, 3]).buffer).starts], [0, 3]);
});

test("only missing rows are asked for, and each once", async () => {
  await Promise.all([list.ensureLoaded(0, 2), list.ensureLoaded(1, 3)]);
  assert.deepEqual(await list.ensureLoaded(0, 3), []);
  const asked = server.requests.map(({ path }) => decodeURIComponent(path)).filter((path) => path.includes("rows"));
  assert.deepEqual(asked, ["/api/images/rows?ids=30,20", "/api/images/rows?ids=11"]);
});

test("a request that failed is made again", async () => {
  isBroken = true;
  await assert.rejects(list.ensureLoaded(0, 1));
  isBroken = false;
  assert.deepEqual(await list.ensureLoaded(0, 1), [0]);
  assert.equal(list.row(0).digest, "xxh128:30");
});

test("an image that is gone keeps its place", async () => {
  images[1] = [99, null];
  await list.ensureLoaded(0, 4);
  assert.equal(list.row(1).isGone, true);
  assert.equal(list.row(2).digest, "xxh128:11");
});

test("what a row says counts more than what the index said before", async () => {
  images[0] = [30, 4];
  await list.ensureLoaded(0, 4);
  assert.equal(list.unratedCount, 1);
  list.setOpinion(0, {});
  assert.equal(list.unratedCount, 2);
});

test("the next unrated image is found in either direction", () => {
  assert.equal(list.nextUnrated(1), 2);
  assert.equal(list.nextUnrated(3), -1);
  assert.equal(list.nextUnrated(1, -1), 0);
});

test("what arrives at the head is counted, and put before the rest", async () => {
  images.unshift([41, null], [40, 2]);
  const head = await list.fetchHead();
  assert.equal(list.countArrived(head), 2);
  list.prepend(head, 2);
  assert.deepEqual([...list.ids], [41, 40, 30, 20, 11, 10]);
  assert.deepEqual([list.total, list.unratedCount], [6, 3]);
});

test("a list that changed elsewhere than at its head has to be loaded again", async () => {
  images.splice(2, 0, [40, null]);
  assert.equal(list.countArrived(await list.fetchHead()), -1);
  images.splice(0, 3);
  assert.equal(list.countArrived(await list.fetchHead()), -1);
});

test("an image that is taken out leaves the others in order, and comes back to its place", () => {
  const removed = list.remove(2);
  assert.deepEqual([...list.ids], [30, 20, 10]);
  assert.deepEqual([list.total, list.unratedCount], [3, 1]);
  assert.equal(list.insert(removed), 2);
  assert.deepEqual([...list.ids], [30, 20, 11, 10]);
  assert.deepEqual([list.total, list.unratedCount], [4, 2]);
});

test("an image is found by the run and digest of an act", async () => {
  await list.ensureLoaded(0, 4);
  assert.equal(list.find("run-0", "xxh128:20"), 1);
  assert.equal(list.find("run-1", "xxh128:20"), -1);
});

test("images of runs that changed are loaded again, and shown as they were until then", async () => {
  await list.ensureLoaded(0, 4);
  list.expire(new Set(["run-1"]));
  assert.equal(list.row(2).digest, "xxh128:11");
  images[2] = [11, 4];
  assert.deepEqual(await list.ensureLoaded(0, 4), [2]);
  assert.equal(list.row(2).opinion.rating, 4);
  assert.equal(server.requests.at(-1).path, "/api/images/rows?ids=11");
  assert.deepEqual(await list.ensureLoaded(0, 4), []);
});

test("an image is rated when anybody rated it, also with zero stars", () => {
  assert.equal(isRated({ opinion: { rating: 0 } }), true);
  assert.equal(isRated({ opinion: {}, others: { bob: { rating: 2 } } }), true);
  assert.equal(isRated({ opinion: { flag: "pick" }, others: { bob: {} } }), false);
});

test("one's own stars are shown before the mean of the others", () => {
  const others = { ann: { rating: 2 }, bob: { rating: 5 }, kim: {} };
  assert.deepEqual(shownRating({ opinion: { rating: 1 }, others }), { rating: 1, isMine: true });
  assert.deepEqual(shownRating({ opinion: {}, others }), { rating: 4, isMine: false });
  assert.equal(shownRating({ opinion: {}, others: {} }), null);
});
