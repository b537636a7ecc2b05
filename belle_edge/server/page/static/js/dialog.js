// Dialogs: the browser's own, so that focus stays inside and comes back, and Escape closes.

import { fill, freshId, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/** @type {Set<() => void>} */
const open = new Set();

/**
 * @param {{title: string | (() => string), content: () => (Node | null)[], wide?: boolean, onClose?: () => void}} options
 *   `content` is called again when the language changes or `refresh` is
 * @returns {{dialog: HTMLDialogElement, refresh: () => void, close: () => void}}
 */
export function openDialog({ title, content, wide = false, onClose }) {
  const id = freshId();
  const heading = h("h2", { id });
  const close = h("button", { type: "button", class: "icon-button close" }, icon("close"));
  const body = h("div", { class: "dialog-body" });
  const dialog = h(
    "dialog",
    { class: wide ? "wide" : null, "aria-labelledby": id },
    h("header", {}, heading, close),
    body,
  );
  const refresh = () => {
    const { scrollTop } = body;
    const focused = document.activeElement?.id;
    heading.textContent = typeof title === "function" ? title() : title;
    close.setAttribute("aria-label", t("Close"));
    close.title = t("Close");
    fill(body, content());
    body.scrollTop = scrollTop;
    if (focused) document.getElementById(focused)?.focus();
  };
  const focusedBefore = document.activeElement;
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    open.delete(refresh);
    dialog.remove();
    onClose?.();
    if (focusedBefore instanceof HTMLElement && focusedBefore.isConnected) focusedBefore.focus();
  });
  open.add(refresh);
  refresh();
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, refresh, close: () => dialog.close() };
}

/** In another language, what is open says the same in that. */
export function relabelDialogs() {
  for (const refresh of open) refresh();
}

/**
 * A labelled field.
 * @param {string} label
 * @param {HTMLElement} control
 * @param {string | Node | null} [hint]
 */
export function field(label, control, hint = null) {
  if (!control.id) control.id = freshId();
  const hintId = hint ? freshId() : null;
  if (hintId) control.setAttribute("aria-describedby", hintId);
  return h(
    "div",
    { class: "field" },
    h("label", { for: control.id }, label),
    control,
    hint ? h("p", { class: "hint", id: hintId }, hint) : null,
  );
}
