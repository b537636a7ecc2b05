// The field that a turn of the person becomes while it is edited.

import { explained } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { fitHeight, sendsNow } from "./typing.js";

/**
 * @param {string} text
 * @param {() => void} close
 * @param {(text: string) => Promise<void>} send
 * @returns {HTMLFormElement}
 */
export function turnEditor(text, close, send) {
  const area = h("textarea", { rows: 1, value: text, "aria-label": t("Your turn") });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!area.value.trim()) return;
    try {
      await send(area.value);
      close();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = explained(error);
    }
  };
  const form = h(
    "form",
    { class: "turn-editor", onsubmit: submit },
    area,
    problem,
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", class: "quiet-button", onclick: close }, t("Cancel")),
      h("button", { type: "submit", class: "main-button" }, t("Send")),
    ),
  );
  area.addEventListener("input", () => fitHeight(area));
  area.addEventListener("keydown", (event) => {
    if (sendsNow(event)) void submit(event);
    else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  requestAnimationFrame(() => fitHeight(area));
  return form;
}
