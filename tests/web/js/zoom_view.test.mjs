import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.mjs";

const { clampPlace, fitPlace, zoomPlace } = await load("parts/images/zoom_view.js");

const STAGE = { width: 1000, height: 600 };

test("a picture is fitted whole and in the middle", () => {
  assert.deepEqual(fitPlace(STAGE, { width: 4000, height: 1200 }), { scale: 0.25, x: 0, y: 150 });
  assert.deepEqual(fitPlace(STAGE, { width: 600, height: 1200 }), { scale: 0.5, x: 350, y: 0 });
});

test("a small picture is enlarged no more than allowed", () => {
  assert.equal(fitPlace(STAGE, { width: 100, height: 100 }, 2).scale, 2);
  assert.equal(fitPlace(STAGE, { width: 100, height: 100 }).scale, 1);
});

test("the spot under the pointer stays where it is", () => {
  const place = { scale: 0.5, x: 20, y: -30 };
  const spot = (at) => [(300 - at.x) / at.scale, (200 - at.y) / at.scale];
  const zoomed = zoomPlace(place, 3.7, 300, 200);
  assert.ok(Math.abs(zoomed.scale - 1.85) < 1e-9);
  spot(zoomed).forEach((value, axis) => assert.ok(Math.abs(value - spot(place)[axis]) < 1e-9));
});

test("a picture cannot be moved out of sight", () => {
  const picture = { width: 2000, height: 500 };
  assert.deepEqual(clampPlace({ scale: 1, x: 400, y: 90 }, STAGE, picture), { scale: 1, x: 0, y: 90 });
  assert.deepEqual(clampPlace({ scale: 1, x: -5000, y: 0 }, STAGE, picture), { scale: 1, x: -1000, y: 0 });
  assert.deepEqual(clampPlace({ scale: 1, x: -300, y: 0 }, STAGE, picture).x, -300);
});
