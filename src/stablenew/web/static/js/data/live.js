// Events of the server. Browsers allow a site six connections, so one tab listens and forwards to the others.

import { getJson, isDevice } from "./api.js";
import { withLock } from "./local_storage.js";

const EVENTS = ["changes", "job", "news", "task", "hello"];
const RETRY_MILLISECONDS = 1000;

class Live extends EventTarget {
  constructor() {
    super();
    this.isConnected = true;
    this.isLeader = false;
    this.channel = new BroadcastChannel("stablenew-live");
    this.channel.onmessage = ({ data }) => this.publish(data.event, data.detail);
  }

  /** Listen to the server once no other tab does. */
  start() {
    withLock(
      "stablenew-live",
      () =>
        new Promise(() => {
          this.isLeader = true;
          this.listen();
        }),
    );
  }

  listen() {
    const source = new EventSource("/api/live");
    for (const event of EVENTS) {
      source.addEventListener(event, ({ data }) => {
        const detail = JSON.parse(data);
        this.publish(event, detail);
        this.channel.postMessage({ event, detail });
      });
    }
    source.onerror = () => {
      this.publish("lost", {});
      this.channel.postMessage({ event: "lost", detail: {} });
      if (source.readyState !== EventSource.CLOSED) return;
      if (isDevice()) getJson("/api/status").catch(() => {}); // was this device revoked?
      setTimeout(() => this.listen(), RETRY_MILLISECONDS);
    };
  }

  publish(event, detail) {
    if (event === "hello") this.isConnected = true;
    if (event === "lost") this.isConnected = false;
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }

  /** Call `listener` with the detail of each `event`; gives the function that unsubscribes. */
  on(event, listener) {
    const onEvent = (/** @type {any} */ { detail }) => listener(detail);
    this.addEventListener(event, onEvent);
    return () => this.removeEventListener(event, onEvent);
  }
}

export const live = new Live();
