// Code in answers: copy, wrap, and a growing block that keeps its buttons and its place.

import { explained } from "./api.js";
import { announce } from "./announce.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { state } from "./state.js";

/**
 * Gives the code of a block its buttons.
 * @param {Element} block
 */
export function equipCode(block) {
  for (const figure of block.querySelectorAll("figure.code")) equip(figure);
  for (const table of block.querySelectorAll("table")) scrollable(table);
  for (const formula of block.querySelectorAll('math[display="block"]')) scrollable(formula);
}

/** @param {Element} figure */
function equip(figure) {
  const pre = figure.querySelector("pre");
  if (!pre) return;
  pre.tabIndex = 0; // it scrolls, so the keyboard has to reach it
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", codeLabel(figure));
  let caption = figure.querySelector("figcaption");
  if (!caption) {
    caption = h("figcaption", {}, figure.getAttribute("data-language") ?? "");
    figure.prepend(caption);
  }
  const name = h("span", { class: "code-language" }, caption.textContent ?? "");
  const wraps = state.settings.wrap_code === true;
  figure.classList.toggle("wraps", wraps);
  const wrap = h(
    "button",
    { type: "button", class: "icon-button", "aria-pressed": String(wraps), title: t("Wrap long lines") },
    icon("wrap"),
  );
  wrap.setAttribute("aria-label", t("Wrap long lines"));
  wrap.addEventListener("click", () => {
    const now = figure.classList.toggle("wraps");
    wrap.setAttribute("aria-pressed", String(now));
  });
  fill(caption, name, wrap, copyButton(t("Copy code"), () => pre.textContent ?? ""));
}

/** @param {Element} figure */
function codeLabel(figure) {
  const language = figure.getAttribute("data-language");
  return language ? t("Code, {language}", { language }) : t("Code");
}

/** A wide thing scrolls by itself, by keyboard too. @param {Element} element */
function scrollable(element) {
  const box = h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": t("Table or formula, may scroll") });
  element.replaceWith(box);
  box.append(element);
}

/**
 * A newer state of a block in place of the older; code that only grew keeps its element.
 * @param {HTMLElement} old
 * @param {HTMLElement} fresh
 * @returns {HTMLElement} what is on the page now
 */
export function exchangeBlock(old, fresh) {
  const before = old.firstElementChild;
  const after = fresh.firstElementChild;
  const alone = old.childElementCount === 1 && fresh.childElementCount === 1;
  if (alone && before?.matches("figure.code") && after?.matches("figure.code")) {
    const language = after.getAttribute("data-language") ?? "";
    const pre = before.querySelector("pre");
    const code = after.querySelector("pre")?.childNodes;
    if (pre && code && language === (before.getAttribute("data-language") ?? "")) {
      pre.replaceChildren(...code);
      return old;
    }
  }
  equipCode(fresh);
  old.replaceWith(fresh);
  return fresh;
}

/**
 * Copies a text, and shows that it did.
 * @param {string} label
 * @param {() => string} text
 */
export function copyButton(label, text) {
  const button = h("button", { type: "button", class: "icon-button", "aria-label": label, title: label }, icon("copy"));
  button.addEventListener("click", async () => {
    try {
      await copyText(text());
    } catch (error) {
      announce(explained(error));
      return;
    }
    announce(t("Copied."));
    fill(button, icon("check"));
    setTimeout(() => fill(button, icon("copy")), 1500);
  });
  return button;
}

/** @param {string} text */
async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Over plain HTTP from another computer the clipboard is closed, and this old way is open.
  const area = h("textarea", { class: "visually-hidden", value: text, "aria-hidden": "true" });
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
}
