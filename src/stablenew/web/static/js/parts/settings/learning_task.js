// What the ratings say takes a while: a bar and words while it is worked out, then what came of it.

import { getJson } from "../../data/api.js";
import { formatCount, plural } from "../../data/format.js";
import { live } from "../../data/live.js";
import { acceptTaskState } from "../../data/task_states.js";
import { fill, h, showProgress } from "../dom.js";

/** One task of the server, shown from its start to its result. */
export class LearningTask {
  /**
   * @param {{kind: string, address: string, parameters: Record<string, any>, waiting: string,
   *   count: (result: any) => string, build: (result: any) => any}} options `waiting` are the words before it is known
   *   how many runs there are; `count` says how much was found
   */
  constructor({ kind, address, parameters, waiting, count, build }) {
    this.kind = kind.trim();
    this.address = address;
    this.parameters = parameters;
    this.waiting = waiting;
    this.count = count;
    this.buildResult = build;
    this.bar = h("progress", { hidden: true, "aria-label": "Reading runs" });
    this.words = h("p.soft", { role: "status" });
    this.result = h("div");
    this.elements = [this.words, this.bar, this.result];
    this.unsubscribe = live.on("task", (task) => this.show(task));
  }

  close() {
    this.unsubscribe();
  }

  async ask() {
    fill(this.result);
    try {
      this.show(await getJson(this.address, this.parameters));
    } catch (error) {
      fill(this.result, h("p.bad", { role: "alert" }, error.message));
    }
  }

  show(task) {
    if (task.kind !== this.kind || !acceptTaskState(task)) return;
    showProgress(this.bar, task);
    if (!task.is_over) {
      this.words.textContent = task.total
        ? `Reading ${formatCount(task.done)} of ${plural(task.total, "run")}`
        : this.waiting;
      return;
    }
    this.words.textContent = task.error ? "" : this.count(task.result);
    const problem = task.is_cancelled ? "stopped" : task.error;
    fill(this.result, task.error ? h("p.bad", { role: "alert" }, problem) : this.buildResult(task.result));
  }
}
