// Text files for the next turn: by button, by drop, from a long paste; each with its count of tokens.

import { explained, request, upload } from "./api.js";
import { openDialog } from "./dialog.js";
import { byId, fill, h } from "./dom.js";
import { size, tokens } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/**
 * @typedef {object} Pending
 * @property {string} id empty until the server has it
 * @property {string} name
 * @property {number} bytes
 * @property {number | null} tokens
 * @property {string | null} problem
 * @property {(() => void) | null} putBack a paste can become text again
 */

const LONG_CHARACTERS = 3000;
const LONG_LINES = 80;

/** @type {Pending[]} */
let pending = [];
/** @type {() => void} */
let changed = () => {};

/** @param {() => void} onChange */
export function mountAttachments(onChange) {
  changed = onChange;
  const picker = /** @type {HTMLInputElement} */ (byId("file-picker"));
  fill(byId("attach"), icon("clip"));
  byId("attach").addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    void attachFiles([...(picker.files ?? [])]);
    picker.value = "";
  });
  mountDrop();
}

/** What the next turn takes along; those that failed are not among them. */
export function attachments() {
  return pending.filter((file) => file.problem === null);
}

/** After sending, or with another chat. */
export function clearAttachments() {
  pending = [];
  showPending();
}

/** @param {string} text */
export function isLong(text) {
  return text.length > LONG_CHARACTERS || text.split("\n", LONG_LINES + 1).length > LONG_LINES;
}

/** @param {File[]} files */
export async function attachFiles(files) {
  await Promise.all(files.map((file) => attach(file, file.name, null)));
}

/** @param {string} text @param {(text: string) => void} putBack */
export async function attachText(text, putBack) {
  await attach(new Blob([text], { type: "text/plain" }), t("Pasted text.txt"), () => putBack(text));
}

/**
 * @param {Blob} file
 * @param {string} name
 * @param {(() => void) | null} putBack
 */
async function attach(file, name, putBack) {
  /** @type {Pending} */
  const entry = { id: "", name, bytes: file.size, tokens: null, problem: null, putBack };
  pending = [...pending, entry];
  showPending();
  try {
    Object.assign(entry, await upload(`/attachments?name=${encodeURIComponent(name)}`, file));
  } catch (error) {
    entry.problem = explained(error);
  }
  showPending();
}

function showPending() {
  fill(byId("attachments"), pending.map(pendingChip));
  byId("attachments").hidden = pending.length === 0;
  changed();
}

/** @param {Pending} entry */
function pendingChip(entry) {
  const label = t("Remove {name}", { name: entry.name });
  const remove = () => {
    pending = pending.filter((other) => other !== entry);
    showPending();
    byId("text").focus();
  };
  const { putBack } = entry;
  const restore = () => {
    remove();
    putBack?.();
  };
  return h(
    "div",
    { class: entry.problem ? "chip error" : "chip" },
    icon(entry.problem ? "warning" : "file"),
    h("span", { class: "chip-name" }, entry.name),
    h("span", { class: "measure", role: entry.problem ? "alert" : null }, entry.problem ?? measureOf(entry)),
    putBack ? h("button", { type: "button", class: "link-button", onclick: restore }, t("Back to text")) : null,
    h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: remove }, icon("close")),
  );
}

/** @param {{id: string, bytes: number, tokens: number | null}} file */
function measureOf(file) {
  if (!file.id) return t("Reading…");
  return file.tokens === null ? size(file.bytes) : tokens(file.tokens);
}

/** An attachment of a turn that was sent; it opens. @param {import("./types.js").Attachment} attachment */
export function attachmentChip(attachment) {
  const show = () => void showAttachment(attachment);
  return h(
    "button",
    { type: "button", class: "chip", title: t("Show the text"), onclick: show },
    icon("file"),
    h("span", { class: "chip-name" }, attachment.name),
    h("span", { class: "measure" }, measureOf(attachment)),
  );
}

/** The text as the model got it. @param {import("./types.js").Attachment} attachment */
async function showAttachment(attachment) {
  /** @type {string} */
  let text;
  let failed = false;
  try {
    text = (await request("GET", `/attachments/${attachment.id}`)).text;
  } catch (error) {
    text = explained(error);
    failed = true;
  }
  openDialog({
    title: attachment.name,
    content: () => [failed ? h("p", { class: "problem" }, text) : h("pre", { class: "file-text", tabindex: "0" }, text)],
    wide: true,
  });
}

/** Files may be dropped anywhere on the page. */
function mountDrop() {
  const veil = byId("drop-veil");
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.textContent = t("Drop text files here");
    veil.hidden = false;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    void attachFiles([...(event.dataTransfer?.files ?? [])]);
  });
}
