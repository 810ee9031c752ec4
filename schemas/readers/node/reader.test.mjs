import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { judge } from "./conformance.mjs";
import { canonical, fits, fold, parseIJson, parseSeal, xxh128 } from "./reader.mjs";

const SUITE = new URL("../../conformance/", import.meta.url);
const EXAMPLES = new URL("../../examples/v1.0/", import.meta.url);
const read = (folder, name) => fs.readFileSync(new URL(name, folder));

for (const name of fs.readdirSync(SUITE).sort()) {
  test(`conformance: ${name}`, () => assert.equal(judge(JSON.parse(read(SUITE, name))), null));
}

test("a case with another answer differs", () => {
  const expected = JSON.parse(read(SUITE, "two-variants.json"));
  Object.values(expected.runs)[0].state = "incomplete";
  assert.match(judge(expected), /incomplete/);
});

for (const verdict of ["valid", "invalid"]) {
  for (const name of fs.readdirSync(new URL(`${verdict}/`, EXAMPLES))) {
    test(`an example that is ${verdict}: ${name}`, () => {
      const value = parseIJson(read(EXAMPLES, `${verdict}/${name}`));
      assert.equal(fits(name.split(".")[0], value), verdict === "valid");
    });
  }
}

test("the example of feedback folds to its own state, and its ids are the digests of its events", () => {
  const { events, state } = parseIJson(read(EXAMPLES, "valid/feedback.full.json"));
  assert.equal(canonical(fold(events)), canonical(state));
  for (const { id, ...rest } of events) assert.equal(xxh128(canonical(rest)), id);
});

test("canonical JSON is RFC 8785", () => {
  assert.equal(
    canonical({ b: [1e21, 1e-7, 1.0, -0], "\u{1f600}": 1, "\ue000": null }),
    '{"b":[1e+21,1e-7,1,0],"😀":1,"\ue000":null}',
  );
});

for (const text of [
  '{"a":1,"a":2}',
  "[9007199254740993]",
  "[1e999]",
  '["\\ud800"]',
  "\ufeff[]",
  "[NaN]",
  "[".repeat(65) + "]".repeat(65),
]) {
  test(`JSON that is no I-JSON is refused: ${text.slice(0, 20)}`, () =>
    assert.throws(() => parseIJson(Buffer.from(text))));
}

test("a seal of another form is refused", () => {
  const line = `${"0".repeat(64)}  records.jsonl`;
  assert.equal(parseSeal(Buffer.from(`${line}\n`)).size, 1);
  for (const text of ["", line, `${line}\r\n`, `${line}\n${line}\n`, `#\n${line}\n`])
    assert.equal(parseSeal(Buffer.from(text)), null);
});
