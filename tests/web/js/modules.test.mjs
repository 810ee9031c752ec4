// Which module may import which: screens use parts and data, parts use data, data uses no element.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { STATIC } from "./browser.mjs";

const MAX_MODULES = 15;
const BELOW = { screens: ["screens", "parts", "data"], parts: ["parts", "data"], data: ["data"] };
const FOLDERS = Object.keys(BELOW);

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
  for (const name of modulesOf("data")) assert.doesNotMatch(textOf(`data/${name}`), /\bdocument\.|createElement/, name);
});

test("all modules that are preloaded are there", () => {
  const html = readFileSync(new URL("../index.html", STATIC), "utf8");
  const paths = [...html.matchAll(/modulepreload" href="\/static\/js\/([^"]+)"/g)].map((match) => match[1]);
  assert.ok(paths.length);
  for (const path of paths) assert.ok(textOf(path).length, path);
});
