// Pictures that are blurred until the mouse is over them, for those who are not alone.

import { getItem, setItem } from "../data/local_storage.js";

const VEIL_KEY = "stablenew:veil";

export const isVeiled = () => getItem(VEIL_KEY) === "on";

export function setVeil(isOn) {
  setItem(VEIL_KEY, isOn ? "on" : "off");
  document.body.classList.toggle("veiled", isOn);
}
