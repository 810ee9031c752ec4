// The page of a pack: a wall, a loupe, stars, and what they say. It asks nobody for anything.

"use strict";

const byId = (id) => document.getElementById(id);
const images = PACK.images.map((image, index) => ({ ...image, index, stars: meanOf(image.ratings) }));
const timeOf = (image) => image.created_at ?? "";
const isArranged = images.some((image, index) => index && timeOf(image) > timeOf(images[index - 1]));
const ORDERS = [
  ...(isArranged ? [["arranged", "As arranged"]] : []),
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["best", "Best first"],
];
let shown = images;
let current = 0;

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === "click") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function meanOf(ratings) {
  const all = Object.values(ratings);
  return all.length ? all.reduce((sum, rating) => sum + rating, 0) / all.length : null;
}

const starText = (stars) => (stars === null ? "" : "★".repeat(Math.round(stars)) || "0 stars");

function buildCell(image, place) {
  const words = image.prompt ?? image.settings.model ?? "";
  const label = `Image ${image.index + 1}, ${starText(image.stars) || "not rated"}, ${words}`.slice(0, 200);
  const open = { type: "button", "aria-label": label, click: () => show(place) };
  const stars = h("span", { class: "stars" }, starText(image.stars));
  if (!image.thumbnail) return h("button", { class: "cell bare", ...open }, h("div", {}, words || "Image"), stars);
  const cell = h(
    "button",
    { class: "cell", ...open },
    h("img", { src: image.thumbnail, alt: "", loading: "lazy" }),
    stars,
  );
  cell.style.setProperty("--ratio", String(image.width && image.height ? image.width / image.height : 1));
  return cell;
}

function fillWall() {
  const least = Number(byId("least").value);
  const order = byId("order").value;
  shown = images.filter((image) => (image.stars ?? -1) >= least);
  if (order === "newest") shown.sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
  if (order === "oldest") shown.reverse().sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
  if (order === "best") shown.sort((a, b) => (b.stars ?? -1) - (a.stars ?? -1));
  byId("wall").replaceChildren(...shown.map(buildCell));
  byId("facts").textContent = `${shown.length} of ${images.length} images`;
}

/** What people call a setting. */
function titleOf(name) {
  const words = name.replace(/^hr_/, "hires_").replaceAll("_", " ");
  return PACK.titles?.[name] ?? words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** Whether a setting had no effect, because what it belongs to was off. */
function isIdle(name, settings) {
  const isOff = (switched) => !settings[switched] || /^(false|none|0)$/i.test(String(settings[switched]));
  return (
    (/^(hr_|enable_hr)/.test(name) && isOff("enable_hr")) ||
    (/^(subseed|seed_resize)/.test(name) && isOff("subseed_strength")) ||
    (/^refiner_/.test(name) && isOff("refiner_checkpoint")) ||
    (/^(batch_size|n_iter|batch_count)$/.test(name) && Number(settings[name]) === 1) ||
    (/^(restore_faces|tiling)$/.test(name) && isOff(name))
  );
}

function pairsOf(image) {
  const settings = Object.entries(image.settings)
    .filter(([name]) => !isIdle(name, image.settings))
    .map(([name, value]) => [titleOf(name), String(value)]);
  const ratings = Object.entries(image.ratings).map(([who, rating]) => [who, starText(rating)]);
  const metrics = Object.entries(image.metrics ?? {}).map(([name, value]) => [name, String(value)]);
  const size = image.width ? [["Size", `${image.width} × ${image.height}`]] : [];
  const texts = [
    ["Prompt", image.prompt],
    ["Negative prompt", image.negative],
    ["Tags", (image.tags ?? []).join(", ")],
    ["Flag", image.flags.join(", ")],
    ["Made", image.created_at && new Date(image.created_at).toLocaleString()],
    ["Job", image.job],
  ];
  return [...ratings, ...texts, ...settings, ...size, ...metrics].filter(([, value]) => value);
}

function show(place) {
  current = (place + shown.length) % shown.length;
  const image = shown[current];
  const picture = byId("picture");
  picture.hidden = !image.picture;
  if (image.picture) picture.src = image.picture;
  picture.alt = image.prompt ?? "";
  const pairs = pairsOf(image).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  byId("info").replaceChildren(h("p", { class: "stars" }, starText(image.stars)), h("dl", {}, pairs));
  if (!byId("loupe").open) byId("loupe").showModal();
}

/** One setting: for each value how many images, and their stars with the range in which the true mean lies. */
function buildTable({ setting, values }) {
  const rows = values.map(({ value, image_count: count, mean }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, String(value)),
      h("td", {}, String(count)),
      h("td", {}, mean && typeof mean.estimate === "number" ? describeMean(mean) : "–"),
    ),
  );
  const heads = ["Value", "Images", "Stars"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "table",
    {},
    h("caption", {}, titleOf(setting.replace("txt2img.", ""))),
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, rows),
  );
}

const describeMean = ({ estimate, low, high }) =>
  typeof low === "number" && typeof high === "number"
    ? `${estimate.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`
    : estimate.toFixed(1);

byId("least").append(
  ...["all", "1 or more", "2 or more", "3 or more", "4 or more", "5"].map((text, stars) =>
    h("option", { value: stars ? String(stars) : "-1" }, text),
  ),
);
byId("order").append(...ORDERS.map(([value, text]) => h("option", { value }, text)));
byId("least").addEventListener("change", fillWall);
byId("order").addEventListener("change", fillWall);
byId("previous").addEventListener("click", () => show(current - 1));
byId("next").addEventListener("click", () => show(current + 1));
byId("close").addEventListener("click", () => byId("loupe").close());
document.addEventListener("keydown", (event) => {
  if (!byId("loupe").open) return;
  if (event.key === "ArrowRight") show(current + 1);
  if (event.key === "ArrowLeft") show(current - 1);
});
byId("evidence").hidden = !PACK.evidence.length;
byId("evidence").append(...PACK.evidence.map(buildTable));
byId("word").textContent = PACK.withheld.includes("prompts")
  ? "It proves the signed word of who shared it, and not what the seals of the runs prove: prompts were left out."
  : "What runs hold is checked against their own seals; stars and order are the word of who shared them.";
fillWall();
