// A menu at a button, by the keys that menus have: arrows, Home, End, Escape, a letter.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {{icon: import("./icons.js").IconName, text: string, call: () => any, danger?: boolean}} Choice */

/**
 * Opens a menu below a button, or above it where there is no room.
 * @param {HTMLElement} button
 * @param {string} label
 * @param {Choice[]} choices
 */
export function openMenu(button, label, choices) {
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label, popover: "auto" });
  for (const choice of choices) menu.append(item(menu, choice));
  menu.addEventListener("keydown", (event) => moved(menu, event));
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") return;
    const inside = menu.contains(document.activeElement) || document.activeElement === document.body;
    button.setAttribute("aria-expanded", "false");
    menu.remove();
    if (inside) button.focus();
  });
  (button.closest("dialog") ?? document.body).append(menu);
  menu.showPopover();
  button.setAttribute("aria-expanded", "true");
  placeAt(menu, button);
  /** @type {HTMLElement | null} */ (menu.querySelector("[role=menuitem]"))?.focus();
}

/** @param {HTMLElement} menu @param {Choice} choice */
function item(menu, choice) {
  const run = () => {
    menu.hidePopover();
    choice.call();
  };
  const attributes = { type: "button", role: "menuitem", tabindex: -1, class: choice.danger ? "danger" : null, onclick: run };
  return h("button", attributes, icon(choice.icon), h("span", {}, choice.text));
}

/** @param {HTMLElement} menu @param {HTMLElement} button */
function placeAt(menu, button) {
  const at = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = at.bottom + 4 + height <= innerHeight;
  menu.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - 4 - height)}px`;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
}

/** @param {HTMLElement} menu @param {KeyboardEvent} event */
function moved(menu, event) {
  const items = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll("[role=menuitem]")]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const steps = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 });
  const step = steps[event.key];
  if (step !== undefined) items[(step + items.length) % items.length]?.focus();
  else if (event.key === "Tab") menu.hidePopover();
  else return;
  event.preventDefault();
}
