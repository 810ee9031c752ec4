import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { installBrowser, load, startServer } from "./browser.mjs";

const { isRated, Snapshot } = await load("data/snapshot.js");

/** What the server would answer for these jobs: each a list of ratings, null for an image that is not rated. */
function answerFor(jobs) {
  return (path) => {
    const url = new URL(path, "http://127.0.0.1");
    if (url.pathname === "/api/jobs/snapshot") return [200, encode(jobs)];
    const numbers = url.searchParams.get("numbers").split(",");
    return [200, { runs: numbers.map((number) => buildRun(jobs, number)) }];
  };
}

function encode(jobs) {
  const buffer = new ArrayBuffer(16 * jobs.length);
  new BigInt64Array(buffer, 0, jobs.length).set(jobs.map((_, job) => BigInt(job) + 1000n));
  new Uint32Array(buffer, 8 * jobs.length).set(jobs.map((ratings) => ratings.length));
  new Uint32Array(buffer, 12 * jobs.length).set(jobs.map((ratings) => ratings.filter((one) => one !== null).length));
  return new Uint8Array(buffer);
}

function buildRun(jobs, number) {
  const job = Number(number) - 1000;
  if (!jobs[job]) return null;
  const images = jobs[job].map((rating, image) => ({
    digest: `sha256:${job}-${image}`,
    mine: rating === null ? {} : { rating },
    others: {},
  }));
  return { run_id: `run-${job}`, images };
}

let server;
let jobs;
let isBroken;

beforeEach(async () => {
  jobs = [[null, 3], [], [5, 5, 5], [null]];
  isBroken = false;
  server = await startServer((path) => (isBroken ? [500, { error: "broken" }] : answerFor(jobs)(path)));
  installBrowser({ origin: server.origin });
});

afterEach(() => server.stop());

async function open() {
  const snapshot = new Snapshot("");
  await snapshot.load();
  server.requests.length = 0;
  return snapshot;
}

test("the images of all jobs stand in one row, jobs without images take no place", async () => {
  const snapshot = await open();
  assert.equal(snapshot.length, 6);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((index) => snapshot.jobOf(index)),
    [0, 0, 2, 2, 2, 3],
  );
  assert.equal(snapshot.initialRatedCount, 4);
});

test("a search that fits nothing gives an empty snapshot", async () => {
  jobs = [];
  const snapshot = await open();
  assert.equal(snapshot.length, 0);
  assert.equal(snapshot.image(0), undefined);
  assert.equal(await snapshot.nextUnrated(0), -1);
});

test("images become known when they are loaded, and are asked for once", async () => {
  const snapshot = await open();
  assert.equal(snapshot.image(3), undefined);
  assert.equal(await snapshot.ensureLoaded(1, 4), true);
  assert.equal(snapshot.image(3).digest, "sha256:2-1");
  assert.equal(snapshot.image(3).run_id, "run-2");
  assert.equal(snapshot.image(5), undefined);
  assert.equal(await snapshot.ensureLoaded(0, 5), false);
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ["/api/jobs/images?numbers=1000%2C1002"],
  );
});

test("who needs images that are on their way waits for them, and does not ask again", async () => {
  const snapshot = await open();
  const first = snapshot.ensureLoaded(0, 6);
  assert.equal(await snapshot.ensureLoaded(2, 3), true);
  assert.equal(snapshot.image(2).digest, "sha256:2-0");
  await first;
  assert.equal(server.requests.length, 1);
});

test("many jobs are asked for sixty at a time", async () => {
  jobs = Array.from({ length: 150 }, () => [null]);
  const snapshot = await open();
  await snapshot.ensureLoaded(0, 150);
  const sizes = server.requests.map(({ path }) => decodeURIComponent(path).split(",").length);
  assert.deepEqual(
    sizes.sort((a, b) => a - b),
    [30, 60, 60],
  );
  assert.equal(snapshot.image(149).run_id, "run-149");
});

test("a request that failed can be made again", async () => {
  const snapshot = await open();
  isBroken = true;
  await assert.rejects(snapshot.ensureLoaded(0, 2), { message: "broken" });
  isBroken = false;
  await snapshot.ensureLoaded(0, 2);
  assert.equal(snapshot.image(0).run_id, "run-0");
});

test("images of a run that is gone keep their places", async () => {
  const snapshot = await open();
  jobs = [jobs[0], [], undefined, jobs[3]];
  await snapshot.ensureLoaded(0, 6);
  assert.equal(snapshot.image(3).isGone, true);
  assert.equal(snapshot.image(5).digest, "sha256:3-0");
});

test("the count of rated images follows what is loaded, where the index was behind", async () => {
  const snapshot = await open();
  jobs = [[4, 3], [], [5, 5, 5], [null]];
  await snapshot.ensureLoaded(0, 1);
  assert.equal(snapshot.initialRatedCount, 5);
});

test("a new opinion says by how many there are more rated images", async () => {
  const snapshot = await open();
  await snapshot.ensureLoaded(0, 2);
  assert.equal(snapshot.setOpinion(0, { rating: 0 }), 1);
  assert.equal(snapshot.setOpinion(0, { rating: 5 }), 0);
  assert.equal(snapshot.setOpinion(0, { flag: "pick" }), -1);
  assert.equal(snapshot.image(0).opinion.flag, "pick");
});

test("the next unrated image is found forwards and backwards, over jobs that need not be loaded", async () => {
  const snapshot = await open();
  assert.equal(await snapshot.nextUnrated(1), 5);
  assert.equal(await snapshot.nextUnrated(4, -1), 0);
  assert.equal(server.requests.filter(({ path }) => path.includes("1002")).length, 0);
});

test("with every image rated there is no next unrated one", async () => {
  jobs = [[1], [2]];
  const snapshot = await open();
  assert.equal(await snapshot.nextUnrated(0), -1);
  assert.equal(await snapshot.nextUnrated(1, -1), -1);
});

test("a loaded image is found by its run and digest, any other is not", async () => {
  const snapshot = await open();
  await snapshot.ensureLoaded(2, 5);
  assert.equal(snapshot.find("run-2", "sha256:2-2"), 4);
  assert.equal(snapshot.find("run-0", "sha256:0-0"), -1);
  assert.equal(snapshot.find("run-2", null), -1);
});

test("an image counts as rated by whoever rated it, zero stars included", () => {
  assert.equal(isRated({ opinion: { rating: 0 } }), true);
  assert.equal(isRated({ opinion: {}, others: { bob: { rating: 3 } } }), true);
  assert.equal(isRated({ opinion: { flag: "pick" }, others: { bob: { flag: "reject" } } }), false);
});
