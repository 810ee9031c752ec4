// Small windows: keys, a text to enter; and short messages.

import { buttonLink, fill, h } from "./dom.js";

function openDialog(dialog) {
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  dialog.showModal();
  dialog.scrollTop = 0; // the focus may be at its end
  return dialog;
}

/** All keys of a screen: groups of [key, meaning]. */
export function showKeys(groups) {
  if (document.querySelector("dialog[open]")) return;
  const dialog = h(
    "dialog.keys-dialog",
    { "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    groups.map(([title, keys]) =>
      h(
        "section",
        h("h3", title),
        h(
          "dl",
          keys.map(([key, meaning]) =>
            h(
              "div",
              h(
                "dt",
                key.split(" ").map((name) => h("kbd", name)),
              ),
              h("dd", meaning),
            ),
          ),
        ),
      ),
    ),
    h("form", { method: "dialog" }, h("button", { type: "submit" }, "Close")),
  );
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "?") dialog.close();
  });
  openDialog(dialog);
}

/**
 * Ask for a text; `choices` is a promise of texts to offer. Gives it, or null when the person changed their mind.
 * @returns {Promise<string | null>}
 */
export function askText({ title, label, value = "", isLong = false, hint = "", choices = null, extra = null }) {
  return new Promise((resolve) => {
    const field = isLong
      ? h("textarea", { id: "ask-field", rows: 5, value })
      : h("input", { id: "ask-field", type: "text", autocomplete: "off", list: choices ? "ask-choices" : null, value });
    const list = choices ? h("datalist", { id: "ask-choices" }) : null;
    choices?.then(
      (values) =>
        fill(
          list,
          values.map((choice) => h("option", { value: choice })),
        ),
      () => {},
    );
    const dialog = h(
      "dialog.ask",
      { "aria-labelledby": "ask-title" },
      h("h2", { id: "ask-title" }, title),
      h(
        "form",
        { method: "dialog", submit: () => dialog.close("ok") },
        h("label", { for: "ask-field" }, label),
        field,
        list,
        hint ? h("p.hint", hint) : null,
        extra,
        h(
          "div.buttons",
          h("button.primary", { type: "submit" }, "Save"),
          h("button", { click: () => dialog.close("") }, "Cancel"),
        ),
      ),
    );
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        dialog.close("ok");
      }
    });
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? field.value : null));
    openDialog(dialog);
    field.focus();
    field.select();
  });
}

/** Show a message for a few seconds. */
export function toast(text, { action = null, onAction = null, isError = false } = {}) {
  const place = document.getElementById("toasts");
  const message = h(
    "div",
    { class: isError ? "toast error" : "toast" },
    h("span", text),
    action
      ? h(
          "button",
          {
            click: () => {
              message.remove();
              onAction?.();
            },
          },
          action,
        )
      : null,
  );
  place?.append(message);
  setTimeout(() => message.remove(), isError ? 12000 : 6000);
}

/** Say what went wrong. */
export const showError = (/** @type {Error} */ error) => toast(error.message, { isError: true });

/** Fill `element` with what is wrong with a search. */
export function showUnread(element, problem, onShowAll) {
  fill(
    element,
    h("h2", "This search cannot be read"),
    h("p.bad", problem),
    h("button", { click: onShowAll }, "Show all images"),
  );
}

/**
 * Why a list is empty, and what to do about it.
 * @param {"image" | "job"} name of what it lists
 * @param {{is_indexed: boolean, store: string}} status
 * @param {(() => void) | null} onShowAll takes back the search that finds nothing; null where there is none
 */
export function showEmpty(element, name, status, onShowAll) {
  const isImage = name === "image";
  element.hidden = false;
  if (!status.is_indexed)
    fill(
      element,
      h("h2", "Reading the run folders…"),
      h("p", isImage ? "Images" : "Jobs", " appear here as they are found."),
    );
  else if (onShowAll)
    fill(element, h("h2", `No ${name} matches this search`), h("button", { click: onShowAll }, `Show all ${name}s`));
  else
    fill(
      element,
      h("h2", isImage ? "No images yet" : "No runs yet"),
      h("p", "Start a run here, or record your own pipeline into ", h("code", status.store), "."),
      h("p", buttonLink("/import", "Where are your images?")),
      h("p", buttonLink("/new", "New run")),
      h("p.hint", "In a terminal: ", h("code", "stablenew demo")),
    );
}
