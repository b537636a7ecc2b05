// Settings of the page: language, appearance, what becomes of the chats.

import { explained, download, request } from "./api.js";
import { importChats } from "./chats.js";
import { field, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { showShortcuts } from "./shortcuts.js";
import { change, state } from "./state.js";

const NAMES = { zh: "中文", en: "English", es: "Español" };

/** Opens the dialog. */
export function showSettings() {
  const line = h("p", { class: "outcome", role: "status" });
  openDialog({
    title: () => t("Settings"),
    content: () => [languageField(line), themeField(line), wrapField(line), dataSection(line), line, about()],
  });
}

/** @param {HTMLElement} line */
function languageField(line) {
  const options = [["", t("As the browser says")], ...Object.entries(NAMES)];
  const select = h("select", { id: "language" }, options.map(([value, name]) => h("option", { value: value ?? "" }, name)));
  select.value = state.settings.language ?? "";
  select.addEventListener("change", () => void store(line, { language: select.value || null }));
  return field(t("Language"), select);
}

/** @param {HTMLElement} line */
function themeField(line) {
  const now = state.settings.theme ?? "auto";
  const choices = [
    ["auto", t("As the system")],
    ["light", t("Light")],
    ["dark", t("Dark")],
  ];
  const radios = choices.map(([value, text]) =>
    h(
      "label",
      { class: "choice" },
      h("input", {
        type: "radio",
        name: "theme",
        id: `theme-${value}`,
        value: value ?? "",
        checked: value === now,
        onchange: () => void store(line, { theme: value ?? null }),
      }),
      h("span", {}, text),
    ),
  );
  return h("fieldset", { class: "choices" }, h("legend", {}, t("Appearance")), ...radios);
}

/** @param {HTMLElement} line */
function wrapField(line) {
  const box = h("input", { type: "checkbox", id: "wrap-code", checked: state.settings.wrap_code === true });
  box.addEventListener("change", () => void store(line, { wrap_code: box.checked }));
  return h("label", { class: "tick" }, box, h("span", {}, t("Wrap long lines of code")));
}

/**
 * @param {HTMLElement} line
 * @param {import("./types.js").Settings} changes
 */
async function store(line, changes) {
  await attempt(line, async () => {
    change({ settings: await request("PATCH", "/settings", changes) });
    return "";
  });
}

/** @param {HTMLElement} line */
function dataSection(line) {
  const picker = h("input", { type: "file", accept: ".json,.zip", hidden: true, id: "import-picker" });
  picker.addEventListener("change", () => {
    const file = picker.files?.[0];
    picker.value = "";
    if (file) void attempt(line, () => bringIn(file));
  });
  const save = () =>
    void attempt(line, async () => {
      await download("/export", "belle-edge-chats.json");
      return "";
    });
  const folder = state.server?.data_folder;
  return h(
    "section",
    {},
    h("h3", {}, t("Your chats")),
    h("p", { class: "hint" }, folder ? t("They are kept on this computer, in {folder}.", { folder }) : t("They are kept on this computer.")),
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", id: "export-all", class: "quiet-button", onclick: save }, icon("save"), t("Export all")),
      h("button", { type: "button", id: "import", class: "quiet-button", onclick: () => picker.click() }, icon("folder"), t("Import…")),
      picker,
    ),
    h("p", { class: "hint" }, t("Import takes files of BELLE Edge and ChatGPT’s export.")),
  );
}

/** @param {File} file */
async function bringIn(file) {
  const chats = await importChats(file);
  return chats.length === 1 ? t("1 chat imported.") : t("{n} chats imported.", { n: number(chats.length) });
}

/** @param {HTMLElement} line @param {() => Promise<string>} action */
async function attempt(line, action) {
  try {
    line.classList.remove("problem");
    fill(line, t("One moment…"));
    fill(line, await action());
  } catch (error) {
    line.classList.add("problem");
    fill(line, explained(error));
  }
}

function about() {
  const { server } = state;
  return h(
    "section",
    { class: "about" },
    h("button", { type: "button", class: "quiet-button", onclick: showShortcuts }, icon("keyboard"), t("Keyboard shortcuts")),
    /** @type {any} */ (server)?.can_quit ? h("button", { type: "button", class: "quiet-button", onclick: quit }, t("Quit BELLE Edge")) : null,
    h("p", { class: "hint" }, `BELLE Edge ${server?.version ?? ""}`),
  );
}

function quit() {
  void request("POST", "/quit").catch(() => {});
}
