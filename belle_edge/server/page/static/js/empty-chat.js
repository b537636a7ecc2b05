// What an empty chat shows: a greeting and four things that BELLE is good at.

import { byId, fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./state.js";

/** @type {(text: string) => void} */
let take = () => {};

/** @param {(text: string) => void} taker puts a text into the composer */
export function offerTo(taker) {
  take = taker;
}

/** @param {boolean} empty */
export function showEmptyChat(empty) {
  const greeting = byId("greeting");
  const shown = empty && state.models.length > 0;
  greeting.hidden = !shown;
  document.body.classList.toggle("empty-chat", shown);
  if (!shown) return;
  fill(
    greeting,
    h("h2", {}, t("What shall we write?")),
    h("ul", { class: "offers" }, offers().map(([title, text]) => h("li", {}, offer(title, text)))),
  );
}

/** @param {string} title @param {string} text */
function offer(title, text) {
  return h(
    "button",
    { type: "button", class: "offer", onclick: () => take(text) },
    h("strong", {}, title),
    h("span", {}, text),
  );
}

/** @returns {[string, string][]} */
function offers() {
  return [
    [t("Write"), t("Write a short letter of thanks to a colleague who helped me move house.")],
    [t("Explain"), t("Explain to a twelve-year-old why the sky is blue.")],
    [t("Translate"), t("Translate into English: 千里之行，始于足下。")],
    [t("Find ideas"), t("Give me five ideas for a rainy weekend with children.")],
  ];
}
