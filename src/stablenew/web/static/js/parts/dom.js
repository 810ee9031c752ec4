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
