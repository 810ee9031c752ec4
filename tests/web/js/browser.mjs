// What a browser has and Node lacks, for modules that never touch an element: local storage, locks between tabs, and
// addresses relative to the page's server. Requests go over HTTP to a real server.

import { once } from "node:events";
import { createServer } from "node:http";

/** Where the scripts are that are tested: the sources, unless the environment says otherwise. */
export const STATIC = new URL(process.env.STABLENEW_PAGE ?? "../../../src/stablenew/web/static/js/", import.meta.url);

/** A module of the page. */
export const load = (path) => import(new URL(path, STATIC));

/** Local storage with room for `capacity` characters, keys included, as browsers count. */
export class LocalStorage {
  constructor(capacity = Infinity) {
    Object.defineProperty(this, "capacity", { value: capacity });
  }

  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  setItem(key, text) {
    const others = Object.entries(this).filter(([name]) => name !== key);
    const size = others.reduce((sum, [name, value]) => sum + name.length + value.length, key.length + text.length);
    if (size > this.capacity) throw new DOMException("the quota has been exceeded", "QuotaExceededError");
    this[key] = text;
  }

  removeItem(key) {
    delete this[key];
  }
}

/** Give the modules of the page a browser's globals. */
export function installBrowser({ storage = new LocalStorage(), origin = "http://127.0.0.1" } = {}) {
  define("localStorage", storage);
  define("navigator", { locks: new Locks() });
  define("fetch", (path, options) => nodeFetch(new URL(path, origin), options));
  define("BroadcastChannel", Channel);
  return storage;
}

const nodeFetch = globalThis.fetch;
const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

class Locks {
  constructor() {
    this.held = new Map();
  }

  request(name, action) {
    const done = (this.held.get(name) ?? Promise.resolve()).then(action);
    this.held.set(
      name,
      done.catch(() => {}),
    );
    return done;
  }
}

class Channel extends globalThis.BroadcastChannel {
  constructor(name) {
    super(name);
    this.unref(); // an open channel would keep the test's process running
  }
}

/**
 * A server whose answer to each request is what `answer(path, body)` gives: a status and a value. Gives its address, the
 * requests it received, and the function that ends it.
 */
export async function startServer(answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const body = text ? JSON.parse(text) : null;
    requests.push({ path: request.url, body });
    const [status, value] = answer(request.url, body);
    response.writeHead(status, { connection: "close" }); // else a client may keep on using a server that has ended
    response.end(value instanceof Uint8Array ? value : JSON.stringify(value));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const stop = async () => {
    server.close();
    await once(server, "close");
  };
  return { origin: `http://127.0.0.1:${port}`, requests, stop };
}
