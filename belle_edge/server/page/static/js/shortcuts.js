// Keys for the whole page, and the list of them.

import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{search: () => void, newChat: () => void, stop: () => boolean, sidebar: () => void}} Actions */

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** @param {Actions} actions */
export function mountShortcuts(actions) {
  window.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (handled(event, actions)) event.preventDefault();
  });
}

/** @param {KeyboardEvent} event @param {Actions} actions */
function handled(event, actions) {
  const command = MAC ? event.metaKey : event.ctrlKey;
  const key = event.key.toLowerCase();
  if (document.querySelector("dialog[open]")) return false;
  if (command && !event.shiftKey && key === "k") actions.search();
  else if (command && event.shiftKey && key === "o") actions.newChat();
  else if (command && event.shiftKey && key === "s") actions.sidebar();
  else if (event.key === "Escape") return actions.stop();
  else if (event.key === "?" && !isTyping(event.target)) showShortcuts();
  else return false;
  return true;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

/** Opens the list. */
export function showShortcuts() {
  const command = MAC ? "⌘" : "Ctrl";
  /** @type {() => [string[], string][]} */
  const rows = () => [
    [["Enter"], t("Send")],
    [["Shift", "Enter"], t("New line")],
    [["Esc"], t("Stop the answer")],
    [["↑"], t("Edit the last turn, in an empty field")],
    [[command, "K"], t("Search all chats")],
    [[command, "Shift", "O"], t("New chat")],
    [[command, "Shift", "S"], t("Show or hide the list of chats")],
    [["F2"], t("Rename the chat that is focused in the list")],
    [["Delete"], t("Delete the chat that is focused in the list")],
    [["?"], t("This list, outside of text fields")],
  ];
  openDialog({
    title: () => t("Keyboard shortcuts"),
    content: () => [
      h(
        "dl",
        { class: "shortcuts" },
        rows().flatMap(([keys, text]) => [h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, text)]),
      ),
    ],
  });
}
