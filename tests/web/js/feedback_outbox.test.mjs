import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";

import { installBrowser, load, startServer } from "./browser.mjs";

const { FeedbackOutbox } = await load("data/feedback_outbox.js");

const RUN = "run-1";
const IMAGE = "sha256:1";
const rated = (rating, imageId = IMAGE) => [{ run_id: RUN, image_id: imageId, rating }];

let server;
let answer;

beforeEach(async () => {
  answer = () => [200, { refused: [] }];
  server = await startServer((path, body) => answer(path, body));
  installBrowser({ origin: server.origin });
});

afterEach(() => server.stop());

function open(store = "store") {
  const outbox = new FeedbackOutbox();
  outbox.start(store);
  return outbox;
}

async function untilEmpty(outbox) {
  while (outbox.unsaved) await once(outbox, "change");
}

test("what is submitted reaches the server with a key of its own", async () => {
  const outbox = open();
  outbox.submit(rated(4));
  assert.equal(outbox.unsaved, 1);
  await untilEmpty(outbox);
  const [{ path, body }] = server.requests;
  assert.equal(path, "/api/feedback");
  const [{ act, ...input }] = body.says;
  assert.deepEqual(input, rated(4)[0]);
  assert.match(act, /^[0-9a-f]{18}$/);
});

test("nothing is lost, doubled or reordered when every other answer fails", async () => {
  let count = 0;
  const applied = [];
  answer = (_, { says }) => {
    count += 1;
    if (count % 2) return [503, { error: "busy" }];
    applied.push(...says.map(({ rating }) => rating));
    return [200, { refused: [] }];
  };
  const outbox = open();
  for (const rating of [1, 2, 3]) outbox.submit(rated(rating));
  await untilEmpty(outbox);
  assert.deepEqual(applied, [1, 2, 3]);
  assert.ok(count > 1);
});

test("an act whose answer was lost is sent again under the same key", async () => {
  let count = 0;
  answer = () => ((count += 1) === 1 ? [500, { error: "lost" }] : [200, { refused: [] }]);
  const outbox = open();
  outbox.submit(rated(2));
  await untilEmpty(outbox);
  const keys = server.requests.map(({ body }) => body.says[0].act);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test("what an earlier page could not deliver is delivered by the next one", async () => {
  const { origin } = server;
  installBrowser({ origin: "http://127.0.0.1:1" });
  const storage = globalThis.localStorage;
  const earlier = open();
  earlier.submit(rated(5));
  while (!earlier.problem) await once(earlier, "change");
  assert.equal(earlier.problem, "waiting for the server");
  earlier.prefix = ""; // that page is closed
  installBrowser({ origin, storage });
  await untilEmpty(open());
  assert.deepEqual(
    server.requests.map(({ body }) => body.says[0].rating),
    [5],
  );
});

test("undo and redo go one at a time, in their order, and name their runs", async () => {
  const outbox = open();
  outbox.submit(rated(1), [{ rating: 3 }]);
  assert.deepEqual(outbox.undo().before, [{ rating: 3 }]);
  outbox.redo();
  await untilEmpty(outbox);
  const [said, undone, redone] = server.requests;
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ["/api/feedback", "/api/undo", "/api/redo"],
  );
  assert.deepEqual(undone.body, { act: said.body.says[0].act, run_ids: [RUN] });
  assert.equal(redone.body.act, said.body.says[0].act);
  assert.notEqual(redone.body.as_act, redone.body.act);
});

test("with nothing to undo nothing is sent", async () => {
  const outbox = open();
  assert.equal(outbox.undo(), null);
  assert.equal(outbox.redo(), null);
  assert.equal(outbox.unsaved, 0);
});

for (const status of [400, 403, 404, 409, 413, 422])
  test(`an answer of ${status} is final: told, and not sent again`, async () => {
    answer = (path) => (path === "/api/undo" ? [status, { error: "no such act" }] : [200, { refused: [] }]);
    const outbox = open();
    outbox.submit(rated(1));
    await untilEmpty(outbox);
    outbox.undo();
    await untilEmpty(outbox);
    assert.equal(server.requests.length, 2);
    assert.equal(outbox.refused.length, 1);
    assert.equal(outbox.refused[0].error, "no such act");
    outbox.dismissRefused();
    assert.deepEqual(outbox.refused, []);
  });

test("an expired link keeps the feedback and says what to do", async () => {
  answer = () => [401, { error: "no cookie" }];
  const outbox = open();
  outbox.submit(rated(1));
  while (!outbox.problem) await once(outbox, "change");
  assert.match(outbox.problem, /fresh link/);
  assert.equal(outbox.unsaved, 1);
  answer = () => [200, { refused: [] }];
  await untilEmpty(outbox);
  assert.equal(outbox.problem, "");
});

test("inputs that the server refuses alone are told", async () => {
  answer = () => [200, { refused: [{ act: "a", error: "no run" }] }];
  const outbox = open();
  outbox.submit(rated(1));
  await untilEmpty(outbox);
  assert.deepEqual(outbox.refused, [{ act: "a", error: "no run" }]);
});

test("an older answer of the server does not hide what was just delivered", async () => {
  const outbox = open();
  outbox.submit(rated(4));
  assert.deepEqual(outbox.overlay(RUN, IMAGE, { rating: 1 }), { rating: 4 });
  await untilEmpty(outbox);
  assert.deepEqual(outbox.overlay(RUN, IMAGE, { rating: 1 }), { rating: 4 });
  assert.deepEqual(outbox.overlay(RUN, null, { rating: 1 }), { rating: 1 });
});

test("an act that was delivered is then forgotten, and the server's opinion counts", async (context) => {
  const outbox = open();
  outbox.submit(rated(4));
  await untilEmpty(outbox);
  const later = Date.now() + 5000;
  context.mock.method(Date, "now", () => later);
  assert.deepEqual(outbox.overlay(RUN, IMAGE, { rating: 1 }), { rating: 1 });
});

test("two tabs deliver each act once", async () => {
  const one = open();
  const other = open();
  one.submit(rated(1));
  other.submit(rated(2));
  await Promise.all([untilEmpty(one), untilEmpty(other)]);
  const ratings = server.requests.flatMap(({ body }) => body.says.map(({ rating }) => rating));
  assert.deepEqual(ratings.sort(), [1, 2]);
});
