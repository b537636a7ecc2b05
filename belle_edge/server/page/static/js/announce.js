// For screen readers: said once, politely, when a thing is done.

import { byId } from "./dom.js";

/** @param {string} text */
export function announce(text) {
  const region = byId("announcements");
  region.textContent = "";
  // An equal text would not be said again without a moment between.
  setTimeout(() => {
    region.textContent = text;
  }, 60);
}
