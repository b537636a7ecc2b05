// How full the context is, and what to do when the next answer will not fit: said before anything is sent.

import { messages as messageCount } from "./answer-details.js";
import { newChatWithSummary } from "./answers.js";
import { ApiError, explained, request } from "./api.js";
import { attachments } from "./attachments.js";
import { changeOpenChat } from "./chats.js";
import { byId, debounced, fill, h } from "./dom.js";
import { number, tokens } from "./format.js";
import { t } from "./i18n.js";
import { change, currentModel, leafOfOpenChat, runningAnswer, state, watch } from "./state.js";

const MEASURE_MS = 250;
const NEARLY_FULL = 0.8;

/** @type {{text: () => string, setText: (text: string) => void}} */
let composer;
/** @type {AbortController | null} */
let asking = null;
/** What was counted last, but for the composer's text. */
let measured = "";

/** @param {{text: () => string, setText: (text: string) => void}} given the composer's text */
export function mountContextMeter(given) {
  composer = given;
  watch(["measure", "sendError"], showMeter);
  watch(["messages", "chat", "models"], () => {
    if (runningAnswer()) return;
    // Scrolling through a chat changes what is loaded of it, not what the model would see.
    const now = JSON.stringify([state.chat, leafOfOpenChat(), state.models.map((model) => [model.name, model.context])]);
    if (now !== measured) measureSoon(composer.text());
    measured = now;
  });
}

/** Asks the server what the text costs, a little after the last key. */
export const measureSoon = debounced(MEASURE_MS, (/** @type {string} */ text) => void measure(text));

/** @param {string} text */
async function measure(text) {
  asking?.abort();
  if (state.models.length === 0) return;
  asking = new AbortController();
  const { id, system, settings } = state.chat;
  const model = currentModel()?.name;
  const turn = { text, attachments: attachments().map((file) => file.id).filter((file) => file) };
  const body = id ? { ...turn, parent: leafOfOpenChat() } : { ...turn, ...(model ? { model } : {}), system, settings };
  try {
    const answer = await request("POST", `/chats/${id ?? "new"}/measure`, body, asking.signal);
    // Nothing is to be decided, and no message marked, before there is something to send.
    const idle = text.trim() === "" && turn.attachments.length === 0;
    if (state.chat.id === id) change({ measure: idle ? { ...answer, fits: true, dropped: [] } : answer });
  } catch (error) {
    // A model that is not there cannot count: the meter waits for it.
    if (error instanceof ApiError) change({ measure: null });
  }
}

/** "slide" where the person allowed it for this chat. @returns {"slide" | null} */
export function overflowChoice() {
  return state.chat.settings.overflow === "slide" ? "slide" : null;
}

/** @returns {boolean} whether the person has to decide first; the choices are shown then */
export function askAboutOverflow() {
  if (!state.measure || state.measure.fits || overflowChoice()) return false;
  /** @type {HTMLElement | null} */ (byId("context-warning").querySelector("button"))?.focus();
  return true;
}

/** The labels, in the page's language. */
export function relabelMeter() {
  showMeter();
}

function showMeter() {
  showBar();
  showWarning();
}

function showBar() {
  const place = byId("meter");
  const { measure } = state;
  place.hidden = !measure;
  if (!measure) return;
  const now = measure.used + measure.tokens;
  const full = now / measure.context;
  const text = t("{used} of {total} tokens", { used: number(now), total: number(measure.context) });
  const bar = h("meter", { min: 0, max: 1, "aria-label": t("Context used"), value: Math.min(1, full) });
  bar.classList.toggle("nearly-full", full > NEARLY_FULL || !measure.fits);
  const counted = measure.tokens ? t("this text: {tokens}", { tokens: tokens(measure.tokens) }) : "";
  place.title = [t("Context used"), t("kept for the answer: {tokens}", { tokens: tokens(measure.reserve) }), counted]
    .filter((part) => part)
    .join(" · ");
  fill(place, bar, h("span", {}, text));
}

function showWarning() {
  const box = byId("context-warning");
  const { measure } = state;
  const shown = measure !== null && !measure.fits;
  const focused = box.contains(document.activeElement);
  box.hidden = !shown;
  if (!measure || !shown) {
    box.replaceChildren();
    if (focused) byId("text").focus();
    return;
  }
  const dropped = measure.dropped.length;
  if (overflowChoice()) {
    fill(box, h("p", {}, t("Will be left out: {messages} (marked above).", { messages: messageCount(dropped) })));
    return;
  }
  fill(box, h("p", {}, reason(measure)), h("div", { class: "buttons" }, ways(measure)));
}

/** @param {import("./types.js").Measure} measure */
function reason(measure) {
  const needed = measure.used + measure.tokens + measure.reserve;
  return t("The context is too small for this: {needed} tokens are needed with room for the answer, {context} are there.", {
    needed: number(needed),
    context: number(measure.context),
  });
}

/** @param {import("./types.js").Measure} measure */
function ways(measure) {
  const way = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", class: "small-button", onclick }, text);
  const { dropped, cut_text_at: cut } = measure;
  return [
    dropped.length > 0 &&
      way(t("Leave out the oldest ({messages})", { messages: messageCount(dropped.length) }), () => {
        void letSlide();
      }),
    cut !== null && cut !== undefined && cut > 0 && way(t("Shorten my text to fit"), () => shorten(cut)),
    state.messages.length > 0 && way(t("New chat with a summary"), () => void startFromSummary()),
  ];
}

/** The choice belongs to the chat from now on; its settings take it back. */
async function letSlide() {
  try {
    change({ sendError: null });
    await changeOpenChat({ settings: { ...state.chat.settings, overflow: "slide" } });
    showMeter();
    byId("text").focus();
  } catch (error) {
    change({ sendError: explained(error) });
  }
}

/** @param {number} cut in code points, as the server counts */
function shorten(cut) {
  const before = composer.text();
  composer.setText([...before].slice(0, cut).join(""));
  byId("text").focus();
  change({ sendError: null });
}

async function startFromSummary() {
  try {
    const chat = await newChatWithSummary();
    location.hash = `#chat/${chat.id}`;
  } catch (error) {
    change({ sendError: explained(error) });
  }
}
