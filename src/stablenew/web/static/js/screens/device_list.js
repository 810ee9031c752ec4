// Health: phones and other computers that may look or rate, and a code for the next one.

import { getJson, postJson } from "../data/api.js";
import { formatTime } from "../data/format.js";
import { showError } from "../parts/dialogs.js";
import { buildOptions, fill, h } from "../parts/dom.js";

const LOOK_MILLISECONDS = 1500;

export class DeviceList {
  constructor(isReadOnly) {
    this.isReadOnly = isReadOnly;
    this.body = h("div");
    this.code = h("div.pairing", { role: "status" });
    this.element = h("section", { "aria-label": "Devices" }, h("h2", "Devices"), this.body, this.code);
    this.count = 0;
    this.timer = 0;
  }

  close() {
    clearInterval(this.timer);
  }

  async load() {
    const found = await getJson("/api/devices").catch(() => null);
    if (found) this.show(found);
  }

  show({ lan, devices }) {
    if (devices.length > this.count) this.hideCode();
    this.count = devices.length;
    fill(
      this.body,
      lan
        ? h("p", "Open to the network at ", h("strong", lan.origin), ". Paired devices may look or rate.")
        : h("p.hint", "Not open to the network: ", h("code", "stablenew serve --lan"), " opens it."),
      lan && lan.fingerprint ? h("p.hint", "SHA-256 of its certificate: ", h("code", lan.fingerprint)) : null,
      lan && !lan.fingerprint
        ? h("p.warning", "Over plain HTTP: others on this network can read what passes, and act as a paired device.")
        : null,
      devices.map((device) => this.buildDevice(device)),
      lan && !this.isReadOnly ? this.buildForm() : null,
    );
  }

  buildDevice({ id, name, role, rater, is_blind: isBlind, paired_at: pairedAt }) {
    const facts = [role === "look" ? "looks" : `rates as ${rater}`, isBlind ? "blind" : null, formatTime(pairedAt)];
    return h(
      "p.device",
      h("strong", name),
      h("span.soft", ` ${facts.filter(Boolean).join(" · ")} `),
      this.isReadOnly ? null : button("Revoke", () => this.ask("revoke", { device: id }), `Revoke ${name}`),
    );
  }

  buildForm() {
    const roles = [
      ["rate", "look and rate"],
      ["look", "only look"],
    ];
    const role = h("select", { "aria-label": "It may" }, buildOptions(roles));
    const blind = h("input", { type: "checkbox" });
    const pair = () => this.ask("invite", { role: role.value, is_blind: blind.checked });
    return h("div.actions", button("Pair a device", pair), role, h("label", blind, " hide from it what others think"));
  }

  async ask(act, body) {
    try {
      const answer = await postJson(`/api/devices/${act}`, body);
      if (act === "revoke") this.show(answer);
      else this.showCode(answer);
    } catch (error) {
      showError(error);
    }
  }

  /** A code until a device was paired with it, or it is too old. */
  showCode({ code, link, picture, expires_at: expiresAt }) {
    fill(
      this.code,
      h("img", { src: picture, alt: `QR code of ${link}` }),
      h("p", "Scan it with the device, or enter there ", h("strong", code), ". Good once, for two minutes."),
    );
    clearInterval(this.timer);
    this.timer = setInterval(() => {
      if (Date.now() > expiresAt * 1000) this.hideCode();
      this.load();
    }, LOOK_MILLISECONDS);
  }

  hideCode() {
    clearInterval(this.timer);
    fill(this.code);
  }
}

const button = (text, onClick, label = null) => h("button", { "aria-label": label, click: onClick }, text);
