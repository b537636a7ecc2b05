// Settings of one chat: what the model is told first, and how its next words are chosen.

import { explained } from "./api.js";
import { changeOpenChat } from "./chats.js";
import { field, openDialog } from "./dialog.js";
import { debounced, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { currentModel, state, watch } from "./state.js";

const SAVE_MS = 400;

/** @typedef {import("./types.js").Sampling} Sampling */
/** @typedef {{name: "temperature" | "top_p" | "top_k" | "repetition_penalty" | "max_tokens" | "seed", label: string, hint: string, min: number, max: number, step: number}} Dial */
/** @typedef {() => void} Save */

/** @returns {Dial[]} */
function dials() {
  return [
    { name: "temperature", label: t("Temperature"), hint: t("0 always takes the likeliest word; higher is freer."), min: 0, max: 5, step: 0.05 },
    { name: "top_p", label: t("Top p"), hint: t("Only the likeliest words that make up this share."), min: 0.01, max: 1, step: 0.01 },
    { name: "top_k", label: t("Top k"), hint: t("Only so many of the likeliest words; 0 is all."), min: 0, max: 100000, step: 1 },
    { name: "repetition_penalty", label: t("Repetition penalty"), hint: t("Above 1, words that were there come back less."), min: 0.1, max: 5, step: 0.05 },
    { name: "max_tokens", label: t("Longest answer"), hint: t("In tokens; empty is all that the context holds."), min: 1, max: 1000000, step: 1 },
    { name: "seed", label: t("Seed"), hint: t("The same seed gives the same answer again; empty is a new one each time."), min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
  ];
}

/** @type {{chat: string | null, refresh: () => void} | null} */
let sheet = null;

/** A sheet that is open shows the chat that is open, whichever comes. */
export function mountChatSettings() {
  watch(["chat"], () => {
    if (!sheet || sheet.chat === state.chat.id) return;
    sheet.chat = state.chat.id;
    sheet.refresh();
  });
}

/** Opens the sheet. */
export function showChatSettings() {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const save = debounced(SAVE_MS, () => void store(problem));
  const { dialog, refresh } = openDialog({
    title: () => t("Settings of this chat"),
    content: () => [
      systemField(save),
      overflowField(save),
      presetLine(problem, () => refresh()),
      ...dials().map((dial) => dialField(dial, save)),
      problem,
    ],
    onClose: () => {
      sheet = null;
      save.now();
    },
  });
  sheet = { chat: state.chat.id, refresh };
  dialog.classList.add("sheet");
}

/** @param {Save} save */
function systemField(save) {
  const area = h("textarea", { id: "system", rows: 5, value: state.chat.system });
  area.addEventListener("input", () => {
    state.chat.system = area.value;
    save();
  });
  return field(t("System prompt"), area, t("What the model is told before the first turn, such as a role or a tone."));
}

/** @param {Save} save */
function overflowField(save) {
  const select = h("select", { id: "overflow" }, h("option", { value: "error" }, t("Ask me")), h("option", { value: "slide" }, t("Leave out the oldest messages")));
  select.value = state.chat.settings.overflow ?? "error";
  select.addEventListener("change", () => setOne("overflow", select.value === "slide" ? "slide" : undefined, save));
  return field(t("When the context is full"), select);
}

/**
 * What is set next builds on this, before the server has it.
 * @param {keyof Sampling} name
 * @param {any} value undefined: as the preset says
 * @param {Save} save
 */
function setOne(name, value, save) {
  const { [name]: _, ...others } = state.chat.settings;
  state.chat.settings = value === undefined ? others : { ...others, [name]: value };
  save();
}

/** @param {HTMLElement} problem @param {() => void} refresh */
function presetLine(problem, refresh) {
  const model = currentModel();
  const own = Object.keys(state.chat.settings).some((name) => name !== "overflow");
  const family = model?.family ?? model?.name ?? "";
  const back = async () => {
    const { overflow } = state.chat.settings;
    state.chat.settings = overflow ? { overflow } : {};
    await store(problem);
    refresh();
  };
  return h(
    "div",
    { class: "preset" },
    h("h3", {}, t("Choice of words")),
    h("p", { class: "hint" }, own ? t("Some differ from the preset of {family}.", { family }) : t("The preset of {family}.", { family })),
    own ? h("button", { type: "button", id: "preset", class: "quiet-button", onclick: back }, icon("redo"), t("Back to the preset")) : null,
  );
}

/** @param {Dial} dial @param {Save} save */
function dialField(dial, save) {
  const preset = currentModel()?.preset?.[dial.name];
  const { name, label, hint, min, max, step } = dial;
  const own = state.chat.settings[name];
  const input = h("input", {
    id: `dial-${name}`,
    type: "number",
    min,
    max,
    step: step < 1 ? "any" : step,
    value: own ?? "",
    placeholder: preset ?? (name === "seed" || name === "max_tokens" ? "" : t("preset")),
    inputmode: "decimal",
  });
  input.addEventListener("input", () => {
    const wrong = !input.validity.valid;
    input.setAttribute("aria-invalid", String(wrong));
    if (wrong) return;
    setOne(name, input.value === "" ? undefined : input.valueAsNumber, save);
  });
  return field(label, input, hint);
}

/** @param {HTMLElement} problem */
async function store(problem) {
  const { system, settings } = state.chat;
  try {
    problem.hidden = true;
    await changeOpenChat({ system, settings });
  } catch (error) {
    problem.hidden = false;
    problem.textContent = explained(error);
  }
}
