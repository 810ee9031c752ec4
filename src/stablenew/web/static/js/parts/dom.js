// Elements from plain values. Text is always text: nothing here ever reads markup.

/**
 * A new element: `h("p.soft.wide", {…}, …)`. Properties, which may be left out: functions listen to the event of that name
 * (or in `on`), `class`, `data` (dataset), `style` (by CSS name); everything else is an attribute, which false, null and
 * undefined leave out. Children are elements or text; null is left out. A button submits nothing unless its `type` says so.
 * @param {string} name
 * @param {...any} rest
 * @returns {any}
 */
export function h(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (tag === "button") element.setAttribute("type", "button");
  if (classes.length) element.className = classes.join(" ");
  if (rest[0]?.constructor === Object) setProperties(element, rest.shift());
  return fill(element, rest);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

function setProperties(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name === "on") setProperties(element, value);
    else if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style")
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, String(text));
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Put `children` in the place of what an element held. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Set the text of an element if it differs; a list that scrolls does this thousands of times. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Let the person save a file that was made here. */
export function saveBlob(/** @type {Blob} */ blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** `action`, called once no call has come for that many milliseconds; `.cancel()` forgets the last call. */
export function debounce(action, milliseconds) {
  let timer = 0;
  const debounced = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
  debounced.cancel = () => clearTimeout(timer);
  return debounced;
}

/** Whether keys now go into a field, so that they are text and not commands. */
export function isTyping(event) {
  const target = event.target;
  if (document.querySelector("dialog[open]")) return true;
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
    !/^(checkbox|radio|range|button)$/.test(target.getAttribute("type") ?? "")
  );
}

/** A link to another screen of the page. */
export const link = (href, ...content) => h("a", { "data-link": true, href }, content);

/** The same, as a button. */
export const buttonLink = (href, text) => h("a.button", { "data-link": true, href }, text);

/**
 * A list to choose from; `onChange` gets the value that was chosen.
 * @param {any[][]} options value and text of each
 * @param {any} value what is chosen now
 */
export function buildSelect(options, value, onChange, attributes = {}) {
  const element = h("select", { ...attributes, change: () => onChange(element.value) }, buildOptions(options));
  element.value = value;
  return element;
}

export const buildOptions = (options) => options.map(([value, text]) => h("option", { value }, text));

/**
 * A table. A heading is a text, or a text and its class; a cell is what stands in it, or a cell already.
 * @param {any[]} heads
 * @param {any[][]} rows
 */
export function buildTable(heads, rows) {
  const isCell = (cell) => cell instanceof HTMLTableCellElement;
  return h(
    "table",
    h(
      "thead",
      h(
        "tr",
        heads.map((head) => {
          const [text, kind] = [head].flat();
          return text ? h("th", { scope: "col", class: kind }, text) : h("td");
        }),
      ),
    ),
    h(
      "tbody",
      rows.map((cells) =>
        h(
          "tr",
          cells.map((cell) => (isCell(cell) ? cell : h("td", cell))),
        ),
      ),
    ),
  );
}

/** The heading of a row. */
export const rowHead = (...content) => h("th", { scope: "row" }, content);

/** Names and what they stand for; null without any that is known. */
export function buildDefinitions(kind, lines) {
  const known = lines.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!known.length) return null;
  return h(
    `dl.${kind}`,
    known.map(([name, value]) => [h("dt", name), h("dd", value)]),
  );
}

/** Show how far a task of the server is. */
export function showProgress(bar, { is_over: isOver, total, done }) {
  bar.hidden = isOver;
  if (!total) return;
  bar.max = total;
  bar.value = done;
}

/** Whether a key is pressed together with one that makes it the browser's. */
export const isShortcut = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;

/** The name of a key, in lower case where it is a letter: Caps Lock changes nothing. */
export const keyOf = ({ key }) => (key.length === 1 ? key.toLowerCase() : key);

/** The digit of a key by its place on the keyboard, so that no layout needs Shift; undefined for other keys. */
export const digitOf = ({ code = "" }) => /^(?:Digit|Numpad)([0-9])$/.exec(code)?.[1];
