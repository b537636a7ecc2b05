// The choice of a model: what each is, what it needs, whether that fits; loading with its measure.

import { addModelContent } from "./add-model.js";
import { explained, request } from "./api.js";
import { changeOpenChat } from "./chats.js";
import { openDialog } from "./dialog.js";
import { byId, fill, h } from "./dom.js";
import { number, parameterCount, size, timeLeft } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { change, currentModel, state, watch } from "./state.js";

/** @typedef {import("./types.js").Model} Model */

/** @type {{refresh: () => void, close: () => void} | null} */
let shown = null;
/** @type {Record<string, string>} */
let problems = {};
/** Models whose licence and limits are unfolded. @type {Set<string>} */
const unfolded = new Set();

/** Builds the button of the header once. */
export function mountModels() {
  byId("model").addEventListener("click", showModels);
  watch(["models", "chat", "settings"], () => {
    showModelButton();
    shown?.refresh();
  });
  showModelButton();
}

/** The header's button: which model, and whether it is there. */
export function showModelButton() {
  const button = byId("model");
  const model = currentModel();
  button.hidden = !model;
  if (!model) return;
  button.setAttribute("aria-label", t("Model: {name}", { name: model.name }));
  const progress = model.state === "loading" && model.progress ? percentOf(model.progress) : "";
  fill(button, h("span", { class: `dot ${model.state}` }), h("span", { class: "model-name" }, model.name), progress, icon("down"));
}

/** @param {{done: number, total: number}} progress */
function percentOf({ done, total }) {
  return total > 0 ? h("span", { class: "measure" }, `${Math.floor((100 * done) / total)} %`) : "";
}

/** Opens the list of models. */
export function showModels() {
  problems = {};
  shown = openDialog({
    title: () => t("Models"),
    wide: true,
    content: () => [h("ul", { class: "models" }, state.models.map(card)), addMore()],
    onClose: () => {
      shown = null;
    },
  });
}

/** Opens the ways to get another model. */
export function showAddModel() {
  openDialog({ title: () => t("Add a model"), wide: true, content: () => [addModelContent()] });
}

function addMore() {
  return h("button", { type: "button", class: "quiet-button", onclick: showAddModel }, icon("plus"), t("Add a model"));
}

/** @param {Model} model */
function card(model) {
  const chosen = currentModel()?.name === model.name;
  const problem = problems[model.name] ?? (model.state === "failed" ? (model.error?.message ?? t("It could not be loaded.")) : null);
  return h(
    "li",
    { class: "model-card", "data-model": model.name, "aria-current": chosen ? "true" : null },
    h("div", { class: "model-head" }, h("h3", {}, model.name), chosen ? h("span", { class: "tag" }, t("in use here")) : null),
    h("p", { class: "model-facts" }, facts(model)),
    memoryLine(model),
    model.state === "loading" ? loading(model) : null,
    problem ? h("p", { class: "problem", role: "alert" }, problem) : null,
    h("div", { class: "buttons" }, buttons(model, chosen)),
    terms(model),
  );
}

/** @param {Model} model */
function facts(model) {
  return [
    model.family,
    model.parameters ? t("{n} parameters", { n: parameterCount(model.parameters) }) : null,
    model.type,
    size(model.bytes),
    model.context ? t("context of {n} tokens", { n: number(model.context) }) : null,
  ]
    .filter((part) => part)
    .join(" · ");
}

/** @param {Model} model */
function memoryLine(model) {
  if (model.state === "loaded" && model.memory_bytes) {
    return h("p", { class: "memory fits" }, icon("check"), t("Loaded, takes {size} of memory", { size: size(model.memory_bytes) }));
  }
  if (!model.needs_bytes || model.fits === null) return null;
  const needs = size(model.needs_bytes);
  const free = model.free_bytes ? size(model.free_bytes) : null;
  if (model.fits) return h("p", { class: "memory fits" }, icon("check"), t("Fits: needs {size} of memory", { size: needs }));
  const text = free
    ? t("Does not fit: needs {size} of memory, {free} are free", { size: needs, free })
    : t("Does not fit: needs {size} of memory", { size: needs });
  return h("p", { class: "memory problem" }, icon("warning"), text);
}

/** @param {Model} model */
function loading(model) {
  const { done = 0, total = 0, seconds_left: left = null } = model.progress ?? {};
  const text = [t("Loading: {done} of {total}", { done: size(done), total: size(total) }), timeLeft(left)];
  return h(
    "div",
    { class: "status" },
    h("span", {}, text.filter((part) => part).join(" · ")),
    h("progress", { max: 1, value: total ? done / total : 0, "aria-label": t("Progress") }),
  );
}

/** @param {Model} model @param {boolean} chosen */
function buttons(model, chosen) {
  const loaded = model.state === "loaded";
  const button = (/** @type {string} */ text, /** @type {string} */ id, /** @type {() => Promise<any>} */ call) => {
    const style = id === "use" ? "main-button" : "quiet-button";
    const onclick = () => attempt(model, call);
    return h("button", { type: "button", id: `${id}-${model.name}`, class: style, onclick }, text);
  };
  return [
    !chosen && button(t("Use here"), "use", () => choose(model)),
    !loaded && model.state !== "loading" && button(t("Load now"), "load", () => order(model, "load")),
    loaded && button(t("Free its memory"), "unload", () => order(model, "unload")),
  ];
}

/** @param {Model} model */
async function choose(model) {
  await changeOpenChat({ model: model.name });
  change({ settings: await request("PATCH", "/settings", { model: model.name }) });
}

/** @param {Model} model @param {"load" | "unload"} what */
async function order(model, what) {
  const answer = await request("POST", `/models/${encodeURIComponent(model.name)}/${what}`);
  change({ models: state.models.map((other) => (other.name === answer.name ? answer : other)) });
}

/** @param {Model} model @param {() => Promise<any>} call */
async function attempt(model, call) {
  delete problems[model.name];
  try {
    await call();
  } catch (error) {
    problems[model.name] = explained(error);
  }
  shown?.refresh();
}

/** Licence and limits, in full. @param {Model} model */
function terms(model) {
  if (!model.licence && !model.limits_text) return null;
  const details = h(
    "details",
    { open: unfolded.has(model.name) },
    h("summary", { id: `terms-${model.name}` }, t("Licence and limits")),
    model.licence ? h("p", {}, t("Licence: {name}", { name: model.licence })) : null,
    model.limits_text ? h("p", {}, model.limits_text) : null,
  );
  details.addEventListener("toggle", () => (details.open ? unfolded.add(model.name) : unfolded.delete(model.name)));
  return details;
}
