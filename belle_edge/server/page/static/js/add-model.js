// The ways to a model: open a file of this computer, convert a checkpoint folder, take one by its name from the hub.

import { explained, request } from "./api.js";
import { field } from "./dialog.js";
import { fill, h } from "./dom.js";
import { folderBrowser } from "./folder-browser.js";
import { t } from "./i18n.js";
import { jobList } from "./jobs.js";
import { change, state } from "./state.js";

const TYPES = ["q4_k_m", "q8_0", "q6_k", "q5_k_m", "q4_0", "f16"];

/** Everything that leads to a model; used by the first run and by the dialog. */
export function addModelContent() {
  if (state.server?.folders_allowed === false) {
    return h("p", { class: "hint" }, t("Models are added on the computer that BELLE Edge runs on: open this page there."));
  }
  return h(
    "div",
    { class: "ways" },
    section(t("Open a model of this computer"), t("A GGUF file, or a folder with such files."), openWay),
    section(t("Convert a checkpoint folder"), t("A BELLE checkpoint as it was published becomes a small, quick file."), convertWay),
    section(t("Take a model by its name"), t("It is fetched from the hub and converted. This is the only step that uses the internet."), pullWay),
    jobList(),
    limits(),
  );
}

/** @param {string} title @param {string} hint @param {() => Node[]} content built when it is opened */
function section(title, hint, content) {
  const body = h("div", { class: "way-body" });
  const details = h("details", { class: "way" }, h("summary", {}, h("strong", {}, title), h("span", { class: "hint" }, hint)), body);
  details.addEventListener("toggle", () => {
    if (details.open && !body.firstChild) fill(body, content());
  });
  return details;
}

function openWay() {
  const problem = problemLine();
  const open = (/** @type {string} */ path) =>
    attempt(problem, async () => {
      const added = await request("POST", "/models", { path });
      const names = new Set(added.map((/** @type {{name: string}} */ model) => model.name));
      change({ models: [...state.models.filter((model) => !names.has(model.name)), ...added] });
    });
  return [folderBrowser({ pick: "models", choose: open }), problem];
}

function convertWay() {
  const problem = problemLine();
  const type = typeChoice();
  const convert = (/** @type {string} */ source) =>
    attempt(problem, () => startJob({ kind: "convert", source, type: type.value }));
  return [field(t("Kind of file"), type, typeHint()), folderBrowser({ pick: "checkpoints", choose: convert }), problem];
}

function pullWay() {
  const problem = problemLine();
  const name = h("input", { type: "text", placeholder: "BelleGroup/BELLE-7B-2M", autocomplete: "off", spellcheck: "false", required: true });
  const type = typeChoice();
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void attempt(problem, () => startJob({ kind: "pull", source: name.value.trim(), type: type.value }));
  };
  return [
    h(
      "form",
      { class: "pull", onsubmit: submit },
      field(t("Name on the hub"), name, t("owner/name, as on its page")),
      field(t("Kind of file"), type, typeHint()),
      h("button", { type: "submit", class: "main-button" }, t("Fetch and convert")),
    ),
    problem,
  ];
}

function typeChoice() {
  return h("select", {}, TYPES.map((type) => h("option", { value: type }, type)));
}

function typeHint() {
  return t("q4_k_m is small and good; q8_0 is twice as large and nearly exact.");
}

/** @param {{kind: "convert" | "pull", source: string, type: string}} body */
async function startJob(body) {
  const job = await request("POST", "/jobs", body);
  change({ jobs: [...state.jobs.filter((other) => other.id !== job.id), job] });
}

function problemLine() {
  return h("p", { class: "problem", role: "alert", hidden: true });
}

/** @param {HTMLElement} line @param {() => Promise<any>} action */
async function attempt(line, action) {
  line.hidden = true;
  try {
    await action();
  } catch (error) {
    line.hidden = false;
    line.textContent = explained(error);
  }
}

/** What everybody should know before using such a model. */
function limits() {
  return h(
    "p",
    { class: "hint limits" },
    t("BELLE models are for research. They make mistakes with facts and sums, and may write what is harmful. Each model has its own licence: it is shown with the model."),
  );
}
