// A server that wants a key: from the address that the desktop window opens, or asked for once.

import { keepKey } from "./api.js";
import { field, openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Takes the key out of the address (#key=…), so that it does not stay in the history. */
export function takeKeyFromAddress() {
  const found = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (!found) return;
  keepKey(decodeURIComponent(found), sessionStorage);
  history.replaceState(null, "", location.pathname);
}

/** @type {Promise<string | null> | null} */
let asked = null;

/** Asks once, however many requests wait for it. @returns {Promise<string | null>} */
export function askForKey() {
  asked ??= ask().finally(() => {
    asked = null;
  });
  return asked;
}

/** @returns {Promise<string | null>} */
function ask() {
  return new Promise((resolve) => {
    const input = h("input", { type: "password", autocomplete: "current-password", required: true });
    /** @type {string | null} */
    let key = null;
    const { close } = openDialog({
      title: () => t("This server wants a key"),
      content: () => [
        h(
          "form",
          {
            onsubmit: (/** @type {Event} */ event) => {
              event.preventDefault();
              key = input.value.trim();
              close();
            },
          },
          field(t("Key"), input, t("It is the one that the server was started with.")),
          h("button", { type: "submit", class: "main-button" }, t("Go on")),
        ),
      ],
      onClose: () => resolve(key),
    });
    input.focus();
  });
}
