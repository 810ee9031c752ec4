// Texts kept in this browser. Where it has no room, or keeps nothing at all, they live as long as the page.

const memory = new Map();

/** @returns {string | null} */
export function getKept(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keep a text; false when it will be gone with the page. */
export function keep(key, text) {
  try {
    localStorage.setItem(key, text);
    memory.delete(key);
    return true;
  } catch {
    memory.set(key, text);
    return false;
  }
}

export function forget(key) {
  memory.delete(key);
  try {
    localStorage.removeItem(key);
  } catch {
    // there was nothing to keep it in
  }
}

/** The names of all texts whose names begin with `prefix`, in order. */
export function keptKeys(prefix) {
  let stored = [];
  try {
    stored = Object.keys(localStorage);
  } catch {
    // only what the page itself remembers
  }
  return [...new Set([...stored, ...memory.keys()])].filter((key) => key.startsWith(prefix)).sort();
}
