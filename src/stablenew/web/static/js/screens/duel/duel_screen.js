// A blind duel: two pictures, one question. Nothing tells which is which; the result comes when enough is known.

import { getJson } from "../../data/api.js";
import { outbox } from "../../data/feedback_outbox.js";
import { plural } from "../../data/format.js";
import { settingTitle } from "../../data/images/image_facts.js";
import { showError, toast } from "../../parts/dialogs.js";
import { fill, h, isShortcut, link } from "../../parts/dom.js";
import { PairQueue } from "./pair_queue.js";
import { buildResult } from "./duel_result.js";

/** The screen, built; it takes keys from now on. `load` then fills it. */
export const open = (root, { search, app }) => new DuelScreen(root, app, search);

const ANSWERS = [
  ["left", "←", "Left is better"],
  ["both_bad", "↑", "Both bad"],
  ["tie", "↓", "Tie"],
  ["right", "→", "Right is better"],
];
/** On a narrow screen one picture is above the other. */
const STACKED = { left: "Upper is better", right: "Lower is better" };
const ANSWER_OF_KEY = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "both_bad", ArrowDown: "tie" };
/** Facets that are no settings one would compare. */
const NO_SIDES = [
  "status",
  "rating",
  "tag",
  "flag",
  "label",
  "type",
  "stage",
  "unrated",
  "orientation",
  "lora",
  "pack",
];

class DuelScreen {
  constructor(root, app, search) {
    this.root = root;
    this.app = app;
    this.question = {
      query: search.get("q") ?? app.query ?? "",
      by: search.get("by") ?? "",
      matters: search.get("matters") ?? "",
    };
    this.wantsResult = search.has("result");
    this.goesOn = false;
    this.isBusy = true;
    /** What was voted on here, for undo. @type {any[]} */
    this.voted = [];
  }

  close() {
    this.isClosed = true;
    this.queue?.close();
  }

  onQuery(query) {
    this.app.go(addressOf({ ...this.question, query }));
  }

  async load() {
    try {
      if (!this.question.by) await this.showSetup();
      else if (this.wantsResult) await this.showResult();
      else await this.showVoting();
    } catch (error) {
      this.showProblem(error);
    }
  }

  showProblem(error) {
    fill(this.root, h("div.page", h("h1", "Duel"), h("p.bad", { role: "alert" }, error.message)));
    this.showSetup(this.root.firstElementChild).catch(() => {});
  }

  /** Choose what is compared. */
  async showSetup(page = h("div.page", h("h1", "Duel"))) {
    const facets = await getJson("/api/images/facets", { query: this.question.query, limit: 13 });
    const settings = Object.entries(facets).filter(
      ([name, values]) => !NO_SIDES.includes(name) && values.length > 1 && values.length < 13,
    );
    if (!page.isConnected) fill(this.root, page);
    page.append(
      h("p", "Two pictures at a time, without knowing which is which. It ends by itself when one side is better."),
      settings.length
        ? h(
            "ul.sides",
            settings.map(([name, values]) => h("li", this.buildChoice(name, values))),
          )
        : h("p.soft", "The images found have one value of every setting. Search for more of them."),
    );
  }

  buildChoice(name, values) {
    const choice = link(
      addressOf({ ...this.question, by: name }),
      h("b", settingTitle(name)),
      h("span.soft", values.map(({ value, count }) => `${value} (${count})`).join(", ")),
    );
    choice.className = "side-choice";
    return choice;
  }

  async showVoting() {
    this.queue = new PairQueue(this.question);
    this.stage = h("div.duel-stage");
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "How sure it is" });
    this.words = h("span.soft", { role: "status" });
    this.buttons = ANSWERS.map(([answer, key, text]) =>
      h(
        "button",
        { class: `answer ${answer}`, disabled: true, click: () => this.vote(answer) },
        h("kbd", { "aria-hidden": "true" }, key),
        h("span.beside", text),
        h("span.stacked-words", STACKED[answer] ?? text),
      ),
    );
    const tool = (text, action) => h("button.quiet", { click: action }, text);
    fill(
      this.root,
      h(
        "section.duel",
        { "aria-label": "Duel" },
        h("h1.sr-only", "Duel"),
        this.stage,
        h("div.answers", this.buttons),
        h(
          "div.duel-foot",
          h("label", "How sure ", this.bar),
          this.words,
          tool("Undo", () => this.undo()),
          tool("Result so far", () => this.showResult()),
        ),
      ),
    );
    await this.next();
  }

  /** Show the next pair, or the result when no more votes are needed. */
  async next() {
    const pair = await this.queue.current();
    if (this.isClosed) return;
    const { state } = this.queue;
    this.bar.value = state.progress;
    const count = Math.max(state.vote_count, this.voted.length);
    this.words.textContent = plural(count, "vote");
    if (!pair || (state.is_decided && !this.goesOn && !outbox.unsaved)) {
      await this.showResult({ isUsedUp: !pair });
      return;
    }
    this.pair = pair;
    fill(
      this.stage,
      pair.pictures.map((picture, place) => {
        picture.alt = place ? "The picture on the right" : "The picture on the left";
        picture.onclick = () => this.vote(place ? "right" : "left");
        return h("figure", picture);
      }),
    );
    this.setBusy(this.app.status.is_read_only);
  }

  setBusy(isBusy) {
    this.isBusy = isBusy;
    for (const button of this.buttons) button.disabled = isBusy;
  }

  async vote(answer) {
    if (this.isBusy || !this.pair) return;
    this.setBusy(true);
    const { pair } = this;
    const [winner, loser] = answer === "right" ? [pair.right, pair.left] : [pair.left, pair.right];
    const isWin = answer === "left" || answer === "right";
    outbox.vote({
      winner_run_id: winner.run_id,
      winner: winner.digest,
      loser_run_id: loser.run_id,
      loser: loser.digest,
      outcome: isWin ? "win" : answer,
      shown: answer === "right" ? "right" : "left",
      asked: this.queue.state.asked,
      repeat: pair.repeat || null,
    });
    this.voted.push(pair);
    this.queue.advance();
    await this.next().catch(showError);
  }

  undo() {
    const pair = this.voted.pop();
    if (!pair) {
      toast("Nothing to undo");
      return;
    }
    outbox.undo();
    this.queue.putBack(pair);
    this.next();
  }

  async showResult({ isUsedUp = false } = {}) {
    const report = await getJson("/api/duel/report", this.question);
    if (this.isClosed) return;
    this.stage = null;
    this.isBusy = true;
    const goOn = () => {
      this.goesOn = true;
      this.showVoting().catch((error) => this.showProblem(error));
    };
    fill(this.root, buildResult(report, { isUsedUp, onGoOn: this.app.status.is_read_only || isUsedUp ? null : goOn }));
  }

  onKey(event) {
    if (isShortcut(event)) return;
    const answer = ANSWER_OF_KEY[event.key];
    if (answer && this.stage) {
      event.preventDefault();
      if (!event.repeat) this.vote(answer);
    } else if (event.key === "z" && this.stage) this.undo();
    else if (event.key === "r" && this.stage) this.showResult();
  }
}

function addressOf({ query, by, matters = "" }) {
  const given = Object.entries({ q: query, by, matters }).filter(([, value]) => value);
  return `/duel?${new URLSearchParams(given)}`;
}
