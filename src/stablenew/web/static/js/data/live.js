// What happens, as it happens. Browsers allow a site six connections, so of all tabs one listens and tells the others.

const EVENTS = ["changes", "job", "news", "task", "hello"];
const RETRY_MILLISECONDS = 1000;

class Live extends EventTarget {
  constructor() {
    super();
    this.isConnected = true;
    this.isLeader = false;
    this.channel = new BroadcastChannel("stablenew-live");
    this.channel.onmessage = ({ data }) => this.tell(data.event, data.detail);
  }

  /** Begin: listen when this tab is the one that does. */
  start() {
    navigator.locks.request(
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
        this.tell(event, detail);
        this.channel.postMessage({ event, detail });
      });
    }
    source.onerror = () => {
      this.tell("lost", {});
      this.channel.postMessage({ event: "lost", detail: {} });
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.listen(), RETRY_MILLISECONDS);
    };
  }

  tell(event, detail) {
    if (event === "hello") this.isConnected = true;
    if (event === "lost") this.isConnected = false;
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }

  /** Call `listener` with the detail of each `event`; gives the function that ends it. */
  on(event, listener) {
    const wrapped = (/** @type {any} */ one) => listener(one.detail);
    this.addEventListener(event, wrapped);
    return () => this.removeEventListener(event, wrapped);
  }
}

export const live = new Live();
