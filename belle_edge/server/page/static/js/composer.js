// Where the person writes: sends, stops, keeps the draft, takes files and long pastes.

import { sendTurn, stopAnswer } from "./answers.js";
import { ApiError, explained } from "./api.js";
import { attachFiles, attachments, attachText, clearAttachments, isLong, mountAttachments } from "./attachments.js";
import { mountContextMeter, measureSoon, overflowChoice, askAboutOverflow } from "./context-meter.js";
import { byId, fill } from "./dom.js";
import { draftOf, flushDraft, keepDraft } from "./drafts.js";
import { offerTo } from "./empty-chat.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { change, runningAnswer, state, watch } from "./state.js";
import { editLastTurn, followEnd } from "./thread.js";
import { fitHeight, sendsNow } from "./typing.js";

const area = /** @type {HTMLTextAreaElement} */ (byId("text"));
let sending = false;

/** Builds the composer once. */
export function mountComposer() {
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  area.addEventListener("input", typed);
  area.addEventListener("keydown", pressed);
  area.addEventListener("paste", pasted);
  window.addEventListener("pagehide", flushDraft);
  mountAttachments(() => {
    measureSoon(area.value);
    showButtons();
  });
  mountContextMeter({ text: () => area.value, setText });
  offerTo((text) => {
    setText(text);
    focusComposer();
  });
  watch(["messages", "progress", "models", "connection"], showButtons);
  watch(["sendError"], showError);
  relabelComposer();
}

/** The labels, in the page's language. */
export function relabelComposer() {
  byId("composer").setAttribute("aria-label", t("Write to the model"));
  area.setAttribute("aria-label", t("Your message"));
  area.placeholder = t("Write a message");
  byId("attach").setAttribute("aria-label", t("Attach text files"));
  byId("attach").title = t("Attach text files");
  showButtons();
  measureSoon(area.value);
}

/**
 * Another chat: its draft, and nothing that belonged to the one before.
 * @param {string | null} onServer the draft that the server has
 */
export function composerFor(onServer) {
  flushDraft();
  clearAttachments();
  setText(draftOf(state.chat.id, onServer), false);
  showButtons();
}

/** Where typing begins; touch screens would cover the page with their keyboard. */
export function focusComposer() {
  if (matchMedia("(hover: hover)").matches) area.focus();
}

/** @param {string} text @param {boolean} [keep] */
function setText(text, keep = true) {
  area.value = text;
  fitHeight(area);
  if (keep) keepDraft(state.chat.id, text);
  measureSoon(text);
  showButtons();
}

function typed() {
  fitHeight(area);
  keepDraft(state.chat.id, area.value);
  measureSoon(area.value);
  showButtons();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (sendsNow(event)) {
    event.preventDefault();
    void submit();
  } else if (event.key === "ArrowUp" && area.value === "" && !event.isComposing && editLastTurn()) {
    event.preventDefault();
  }
}

/** @param {ClipboardEvent} event */
function pasted(event) {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length > 0) {
    event.preventDefault();
    void attachFiles(files);
    return;
  }
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (!isLong(text)) return;
  event.preventDefault();
  void attachText(text, (back) => {
    setText(area.value + back);
    area.focus();
  });
}

async function submit() {
  const running = runningAnswer();
  if (running) {
    if (document.activeElement === byId("send")) await attempt(() => stopAnswer(running.id));
    else change({ sendError: t("An answer is being written. Wait for its end, or stop it with Esc.") });
    return;
  }
  const text = area.value;
  const files = attachments();
  if (sending || (!text.trim() && files.length === 0)) return;
  if (files.some((file) => !file.id)) return;
  if (askAboutOverflow()) return;
  sending = true;
  const before = state.chat.id;
  await attempt(async () => {
    followEnd();
    const overflow = overflowChoice();
    await sendTurn({ text, attachments: files.map((file) => file.id), ...(overflow ? { overflow } : {}) });
    keepDraft(before, "");
    keepDraft(state.chat.id, "");
    flushDraft();
    if (area.value === text) setText("");
    clearAttachments();
    followEnd();
  });
  sending = false;
  area.focus();
}

/** Stops what is being written in the open chat. @returns {boolean} whether there was anything */
export function stopRunning() {
  const running = runningAnswer();
  if (!running) return false;
  void attempt(() => stopAnswer(running.id));
  return true;
}

/** @param {() => Promise<void>} action */
async function attempt(action) {
  change({ sendError: null });
  try {
    await action();
  } catch (error) {
    if (error instanceof ApiError && error.code === "context_full" && error.details) change({ measure: error.details });
    change({ sendError: explained(error) });
  }
}

function showButtons() {
  const running = runningAnswer() !== null;
  const button = /** @type {HTMLButtonElement} */ (byId("send"));
  const label = running ? t("Stop") : t("Send");
  if (button.getAttribute("aria-label") !== label || !button.firstChild) {
    button.setAttribute("aria-label", label);
    button.title = running ? t("Stop (Esc)") : t("Send (Enter)");
    button.classList.toggle("stops", running);
    fill(button, icon(running ? "stop" : "send"));
  }
  button.disabled = !running && !area.value.trim() && attachments().length === 0;
  area.disabled = state.models.length === 0 && state.chat.id === null;
}

function showError() {
  const line = byId("send-error");
  line.hidden = state.sendError === null;
  line.textContent = state.sendError ?? "";
}
