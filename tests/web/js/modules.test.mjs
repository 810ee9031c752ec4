// Which module may import which: screens use parts and data, parts use data, data uses no element.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { STATIC } from "./browser.mjs";

const MAX_MODULES = 15;
const BELOW = { screens: ["screens", "parts", "data"], parts: ["parts", "data"], data: ["data"] };
const subfolders = (folder) =>
  readdirSync(new URL(`${folder}/`, STATIC), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [`${folder}/${name}`, ...subfolders(`${folder}/${name}`)]);
const FOLDERS = Object.keys(BELOW).flatMap((folder) => [folder, ...subfolders(folder)]);

const modulesOf = (folder) => readdirSync(new URL(`${folder}/`, STATIC)).filter((name) => name.endsWith(".js"));
const textOf = (path) => readFileSync(new URL(path, STATIC), "utf8");
const importsOf = (text) => [...text.matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)].map((match) => match[1]);

function edgesOf(folder) {
  return modulesOf(folder).flatMap((name) =>
    importsOf(textOf(`${folder}/${name}`)).map((target) => {
      const path = new URL(target, new URL(`${folder}/${name}`, STATIC)).href.slice(STATIC.href.length);
      return { from: `${folder}/${name}`, to: path };
    }),
  );
}

const EDGES = FOLDERS.flatMap(edgesOf);

test("imports only go down: screens, parts, data", () => {
  const wrong = EDGES.filter(({ from, to }) => !BELOW[from.split("/")[0]].includes(to.split("/")[0]));
  assert.ok(EDGES.length > 50);
  assert.deepEqual(wrong, []);
});

test("every import names a module that is there", () => {
  const there = new Set(FOLDERS.flatMap((folder) => modulesOf(folder).map((name) => `${folder}/${name}`)));
  const fromApp = importsOf(textOf("app.js")).map((target) => target.slice(2));
  assert.deepEqual(
    [...EDGES.map(({ to }) => to), ...fromApp].filter((path) => !there.has(path)),
    [],
  );
});

test("no modules import each other in a circle", () => {
  const open = new Set();
  const done = new Set();
  const visit = (path) => {
    assert.ok(!open.has(path), `circle through ${path}`);
    if (done.has(path)) return;
    open.add(path);
    for (const { from, to } of EDGES) if (from === path) visit(to);
    open.delete(path);
    done.add(path);
  };
  for (const { from } of EDGES) visit(from);
});

test("no folder has more modules than can be taken in at a glance", () => {
  for (const folder of FOLDERS) assert.ok(modulesOf(folder).length <= MAX_MODULES, folder);
});

test("data touches no element", () => {
  for (const folder of ["data", "data/images"])
    for (const name of modulesOf(folder))
      assert.doesNotMatch(textOf(`${folder}/${name}`), /\bdocument\.|createElement/, name);
});

test("no text spans several lines: the server takes indentation away", () => {
  for (const folder of FOLDERS)
    for (const name of modulesOf(folder))
      for (const line of textOf(`${folder}/${name}`).split("\n"))
        assert.equal(line.split("`").length % 2, 1, `${folder}/${name}: ${line}`);
});
