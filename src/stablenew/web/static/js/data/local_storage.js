// Texts in the browser's local storage. Where it is full or switched off, they live in memory, as long as the page.

const memory = new Map();

/** @returns {string | null} */
export function getItem(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Store a text; false when it could only be put in memory. */
export function setItem(key, text) {
  try {
    localStorage.setItem(key, text);
    memory.delete(key);
    return true;
  } catch {
    memory.set(key, text);
    return false;
  }
}

/** Do something while no other tab does. Without HTTPS browsers have no locks; then tabs may do it at once. */
export const withLock = (name, action) => navigator.locks?.request(name, action) ?? action();

export function removeItem(key) {
  memory.delete(key);
  try {
    localStorage.removeItem(key);
  } catch {
    // storage that cannot be used holds nothing to remove
  }
}

/** The value stored as JSON; null when there is none, or when it cannot be parsed. */
export function getJsonItem(key) {
  try {
    return JSON.parse(getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** All keys that begin with `prefix`, sorted. */
export function listKeys(prefix) {
  let stored = [];
  try {
    stored = Object.keys(localStorage);
  } catch {
    // only what is in memory
  }
  return [...new Set([...stored, ...memory.keys()])].filter((key) => key.startsWith(prefix)).sort();
}

/** Hear of it when another tab stored or removed something: at once, and never before it can be read here. */
export function onStoredElsewhere(/** @type {string} */ prefix, /** @type {() => void} */ heard) {
  globalThis.addEventListener?.("storage", ({ key }) => {
    if (key === null || key.startsWith(prefix)) heard();
  });
}
