// Folders of this computer, as the server sees them, to find a model in.

import { explained, request } from "./api.js";
import { fill, h } from "./dom.js";
import { size } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { newestOnly } from "./overtaking.js";

/**
 * @param {{pick: "models" | "checkpoints", choose: (path: string) => Promise<void>}} options
 * @returns {HTMLElement}
 */
export function folderBrowser({ pick, choose }) {
  const place = h("input", { type: "text", "aria-label": t("Folder"), spellcheck: "false", autocomplete: "off" });
  const list = h("ul", { class: "folder-list", "aria-label": t("Contents of the folder") });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const ask = newestOnly();
  let typed = false; // since the last question: an answer leaves what a person is writing
  place.addEventListener("input", () => (typed = true));
  const go = async (/** @type {string | null} */ path) => {
    const isNewest = ask();
    typed = false;
    problem.hidden = true;
    try {
      const query = path === null ? "" : `?path=${encodeURIComponent(path)}`;
      const folder = await request("GET", `/folders${query}`);
      if (!isNewest()) return;
      if (!typed) place.value = folder.path;
      fill(list, rows(folder, pick, go, choose));
    } catch (error) {
      if (!isNewest()) return;
      problem.hidden = false;
      problem.textContent = explained(error);
    }
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void go(place.value);
  };
  void go(null);
  return h(
    "div",
    { class: "folder-browser" },
    h("form", { class: "folder-place", onsubmit: submit }, place, h("button", { type: "submit", class: "quiet-button" }, t("Go"))),
    problem,
    list,
  );
}

/**
 * @param {import("./types.js").Folder} folder
 * @param {"models" | "checkpoints"} pick
 * @param {(path: string) => Promise<void>} go
 * @param {(path: string) => Promise<void>} choose
 */
function rows(folder, pick, go, choose) {
  const inside = (/** @type {string} */ name) => joined(folder.path, name);
  const row = (/** @type {import("./icons.js").IconName} */ picture, /** @type {(Node | string)[]} */ text, /** @type {() => void} */ onclick) =>
    h("li", {}, h("button", { type: "button", class: "folder-row", onclick }, icon(picture), ...text));
  const found =
    pick === "models"
      ? folder.models.map(({ name, bytes }) =>
          row("cube", [strong(name), measure(size(bytes)), action(t("Open"))], () => void choose(inside(name))),
        )
      : folder.checkpoints.map(({ name, form }) =>
          row("cube", [strong(name), measure(form), action(t("Convert"))], () => void choose(inside(name))),
        );
  const all = pick === "models" && folder.models.length > 1;
  const { parent } = folder;
  return [
    parent === null ? null : row("left", [t("Up")], () => void go(parent)),
    all ? row("folder", [strong(t("All models of this folder")), action(t("Open"))], () => void choose(folder.path)) : null,
    ...found,
    ...folder.folders.map((name) => row("folder", [name], () => void go(inside(name)))),
    found.length + folder.folders.length === 0 ? h("li", { class: "hint" }, t("Nothing for this in here.")) : null,
  ];
}

/** @param {string} text */
function strong(text) {
  return h("strong", {}, text);
}

/** @param {string} text */
function measure(text) {
  return h("span", { class: "measure" }, text);
}

/** @param {string} text */
function action(text) {
  return h("span", { class: "action" }, text);
}

/** @param {string} folder @param {string} name */
function joined(folder, name) {
  if (name === ".") return folder;
  const separator = folder.includes("\\") && !folder.includes("/") ? "\\" : "/";
  return folder.endsWith(separator) ? folder + name : folder + separator + name;
}
