import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { installBrowser, load, startServer } from "./browser.mjs";

const { findDescending, JobList, mergeDescending } = await load("data/job_list.js");

const numbersOf = (...values) => BigInt64Array.from(values.map(BigInt));
const merge = (numbers, ...arrived) => mergeDescending(numbersOf(...numbers), arrived.map(BigInt));
const MINUS = -(2n ** 63n);

let server;
let removed;

beforeEach(async () => {
  removed = new Set();
  server = await startServer((path) => {
    const numbers = new URL(path, "http://127.0.0.1").searchParams.get("numbers").split(",");
    const jobs = numbers.map((number) => (removed.has(number) ? null : { number, run_id: `run-${number}` }));
    return [200, { jobs }];
  });
  installBrowser({ origin: server.origin });
});

afterEach(() => server.stop());

function open(count) {
  const list = new JobList({
    onRows: () => {},
    onError: (error) => {
      throw error;
    },
  });
  list.numbers = BigInt64Array.from({ length: count }, (_, index) => BigInt(count - index));
  return list;
}

test("a number is found where it stands, and else where it would", () => {
  const numbers = numbersOf(9, 7, 5);
  assert.deepEqual(
    [10, 9, 8, 7, 5, 1].map((number) => findDescending(numbers, BigInt(number))),
    [0, 0, 1, 1, 2, 3],
  );
  assert.equal(findDescending(numbersOf(), 1n), 0);
});

test("numbers of 64 bits are compared exactly", () => {
  const numbers = BigInt64Array.from([2n ** 62n + 1n, 2n ** 62n, MINUS]);
  assert.equal(findDescending(numbers, 2n ** 62n), 1);
  assert.equal(findDescending(numbers, MINUS), 2);
});

test("new jobs come before all others, the newest first", () => {
  assert.deepEqual(merge([5, 3], 7, 9), numbersOf(9, 7, 5, 3));
  assert.deepEqual(merge([], 1, 2), numbersOf(2, 1));
});

test("an older job that arrives late gets its place by time", () => {
  assert.deepEqual(merge([9, 5, 3], 4, 10), numbersOf(10, 9, 5, 4, 3));
  assert.deepEqual(merge([9, 5], 1), numbersOf(9, 5, 1));
});

test("jobs that are in the list already, or told twice, are added once", () => {
  assert.deepEqual(merge([9, 5], 7, 7, 9), numbersOf(9, 7, 5));
  const numbers = numbersOf(9, 5);
  assert.equal(mergeDescending(numbers, [5n, 9n]), numbers);
});

test("the list that was given stays as it was", () => {
  const numbers = numbersOf(9, 5);
  mergeDescending(numbers, [7n]);
  assert.deepEqual(numbers, numbersOf(9, 5));
});

test("a job that belongs far down is left to the server", () => {
  const numbers = BigInt64Array.from({ length: 10_000 }, (_, index) => BigInt(20_000 - 2 * index));
  assert.equal(mergeDescending(numbers, [1n]), null);
  assert.equal(mergeDescending(numbers, [19_999n]).length, 10_001);
});

test("missing rows are loaded, and known ones not again", async () => {
  const list = open(10);
  await list.load(0, 3);
  await list.load(1, 5);
  assert.equal(list.job(4).run_id, "run-6");
  assert.equal(list.job(5), null);
  assert.deepEqual(
    server.requests.map(({ path }) => decodeURIComponent(path.split("=")[1])),
    ["10,9,8", "7,6"],
  );
});

test("while a request is under way only the latest range counts", async () => {
  const list = open(1000);
  const first = list.load(0, 2);
  list.load(100, 102);
  list.load(500, 502);
  await first;
  assert.equal(list.job(500).run_id, "run-500");
  assert.equal(list.job(100), null);
  assert.equal(server.requests.length, 2);
});

test("a range of more than 120 rows is loaded in steps", async () => {
  const list = open(300);
  await list.load(0, 300);
  assert.equal(server.requests.length, 3);
  assert.equal(list.job(299).run_id, "run-1");
});

test("a job that was removed is asked for once, and is no job", async () => {
  removed.add("9");
  const list = open(10);
  await list.load(0, 3);
  await list.load(0, 3);
  assert.equal(list.row(1).isGone, true);
  assert.equal(list.job(1), null);
  assert.equal(server.requests.length, 1);
});

test("a range beyond the end asks for what there is", async () => {
  const list = open(2);
  await list.load(0, 50);
  assert.equal(list.job(1).run_id, "run-1");
  assert.equal(list.row(2), undefined);
});

test("an error is told, and the range can be loaded after it", async () => {
  const errors = [];
  const list = open(3);
  list.onError = (error) => errors.push(error.name);
  const controller = new AbortController();
  list.signal = controller.signal;
  controller.abort();
  await list.load(0, 3);
  assert.deepEqual(errors, ["AbortError"]);
  list.signal = undefined;
  await list.load(0, 3);
  assert.equal(list.job(0).run_id, "run-3");
});

test("a rating shows in every row of its run", async () => {
  const list = open(3);
  await list.load(0, 3);
  list.setRating("run-2", 4);
  assert.deepEqual([list.job(0).rating, list.job(1).rating], [undefined, 4]);
});

test("no more than 4,000 rows are held, the oldest go first", () => {
  const list = open(5000);
  for (let number = 5000; number > 0; number -= 1) list.cache({ number: String(number), run_id: "run" });
  assert.ok(list.rows.size <= 4001);
  assert.equal(list.row(0), undefined);
  assert.equal(list.row(4999).run_id, "run");
});
