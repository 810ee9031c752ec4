#!/usr/bin/env node
// Run the conformance suite: node conformance.mjs [FOLDER OF CASES]. Exit status 1 if a case differs.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { canonical, readStore } from "./reader.mjs";

/** Write the files of a case below `root`. */
export function unpack(files, root) {
  for (const [name, content] of Object.entries(files)) {
    const place = path.join(root, name);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    if (typeof content === "string") fs.writeFileSync(place, content);
    else if (content.link !== undefined) fs.symlinkSync(content.link, place);
    else if (content.folder) fs.mkdirSync(place, { recursive: true });
    else fs.writeFileSync(place, Buffer.from(content.base64, "base64"));
  }
}

/** What differs between a case and what the reader makes of its store, as text; null if nothing. */
export function judge({ store, ...expected }) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "runs-"));
  try {
    unpack(store, root);
    const sorted = (list) => list.toSorted((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
    const tidy = ({ runs, images, findings }) => {
      const tidied = Object.entries(runs).map(([id, run]) => [id, { ...run, findings: sorted(run.findings) }]);
      return JSON.parse(canonical({ runs: Object.fromEntries(tidied), images, findings: sorted(findings) }));
    };
    assert.deepEqual(tidy(readStore(root)), tidy(expected));
    return null;
  } catch (error) {
    return error.message ?? String(error);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

function main(folder) {
  const names = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort();
  const failed = names.filter((name) => {
    const difference = judge(JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")));
    if (difference) console.error(`${name}: ${difference}`);
    return difference;
  });
  console.log(`${names.length - failed.length} of ${names.length} cases as expected`);
  process.exitCode = failed.length || !names.length ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  main(process.argv[2] ?? fileURLToPath(new URL("../../conformance", import.meta.url)));
