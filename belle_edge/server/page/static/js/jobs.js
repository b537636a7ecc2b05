// Conversions and downloads: how far each is, what became of it, and a way to end it.

import { request } from "./api.js";
import { fill, h } from "./dom.js";
import { size, timeLeft } from "./format.js";
import { t } from "./i18n.js";
import { state, watch } from "./state.js";

/** @typedef {import("./types.js").Job} Job */

/** @type {Set<HTMLElement>} */
const lists = new Set();

/** Keeps every list of jobs up to date. */
export function mountJobs() {
  watch(["jobs"], () => {
    for (const list of lists) {
      if (list.isConnected) show(list);
      else lists.delete(list);
    }
  });
}

/** A list that follows the state while it is on the page. */
export function jobList() {
  const list = h("ul", { class: "jobs", "aria-label": t("Conversions and downloads") });
  lists.add(list);
  show(list);
  return list;
}

/** @param {HTMLElement} list */
function show(list) {
  list.hidden = state.jobs.length === 0;
  fill(list, [...state.jobs].reverse().map(row));
}

/** @param {Job} job */
function row(job) {
  const running = job.state === "waiting" || job.state === "running";
  const { done = 0, total = 0 } = job.progress ?? {};
  const cancel = () => void request("DELETE", `/jobs/${job.id}`).catch(() => {});
  return h(
    "li",
    { class: "job", "data-state": job.state },
    h("div", { class: "job-head" }, h("strong", {}, job.source), h("span", { class: "measure" }, stateText(job))),
    running ? h("progress", { max: 1, value: total ? done / total : 0, "aria-label": t("Progress") }) : null,
    job.error ? h("p", { class: "problem", role: "alert" }, job.error.message) : null,
    running ? h("button", { type: "button", class: "quiet-button", onclick: cancel }, t("Cancel")) : null,
  );
}

/** @param {Job} job */
function stateText(job) {
  switch (job.state) {
    case "waiting":
      return t("Waiting in line");
    case "running":
      return running(job);
    case "finished":
      return t("Finished");
    case "cancelled":
      return t("Cancelled");
    default:
      return t("Failed");
  }
}

/** @param {Job} job */
function running(job) {
  const { progress } = job;
  if (!progress) return t("Starting…");
  const measure = progress.total > 0 ? t("{done} of {total}", { done: size(progress.done), total: size(progress.total) }) : "";
  return [progress.stage, measure, timeLeft(progress.seconds_left)].filter((part) => part).join(" · ");
}
