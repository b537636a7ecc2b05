// How an answer was made: model, settings, seed, template, times. One click away from it.

import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { dateAndTime, duration, number, speed, tokens } from "./format.js";
import { t } from "./i18n.js";

/** @param {import("./types.js").Message} message */
export function showDetails(message) {
  openDialog({
    title: t("How this answer was made"),
    content: () => [
      table(facts(message)),
      h("h3", {}, t("Times")),
      table(times(message.timings ?? {})),
      h("h3", {}, t("Settings")),
      table(settings(message)),
    ],
  });
}

/** @param {[string, string | Node][]} rows */
function table(rows) {
  return h("dl", { class: "facts" }, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/**
 * @param {import("./types.js").Message} message
 * @returns {[string, string][]}
 */
function facts(message) {
  /** @type {[string, string][]} */
  const rows = [
    [t("Model"), message.model ?? t("unknown")],
    [t("Written"), dateAndTime(message.created)],
  ];
  const seed = message.seed ?? message.settings?.["seed"];
  if (seed !== null && seed !== undefined) rows.push([t("Seed"), String(seed)]);
  const template = message.template ?? message.settings?.["template"];
  if (template) rows.push([t("Template"), String(template)]);
  if (message.dropped?.length) rows.push([t("Left out of the context"), messages(message.dropped.length)]);
  return rows;
}

/** @param {number} n */
export function messages(n) {
  return n === 1 ? t("1 message") : t("{n} messages", { n: number(n) });
}

/**
 * @param {import("./types.js").Timings} timings
 * @returns {[string, string][]}
 */
function times(timings) {
  /** @type {[string, string][]} */
  const rows = [];
  if (timings.load_s) rows.push([t("Loading the model"), duration(timings.load_s)]);
  if (timings.prompt_tokens !== undefined) {
    const cached = timings.cached_tokens ?? 0;
    const read = timings.prompt_tokens - cached;
    rows.push([t("Prompt"), tokens(timings.prompt_tokens)]);
    if (cached) rows.push([t("Of these remembered"), tokens(cached)]);
    if (timings.prompt_s) rows.push([t("Reading"), rate(read, timings.prompt_s)]);
  }
  if (timings.tokens !== undefined) {
    rows.push([t("Answer"), tokens(timings.tokens)]);
    if (timings.decode_s) rows.push([t("Writing"), rate(timings.tokens, timings.decode_s)]);
  }
  return rows.length ? rows : [[t("Times"), t("unknown")]];
}

/** @param {number} n @param {number} seconds */
function rate(n, seconds) {
  return `${duration(seconds)} · ${speed(n / seconds)}`;
}

/**
 * @param {import("./types.js").Message} message
 * @returns {[string, string][]}
 */
function settings(message) {
  return Object.entries(message.settings ?? {})
    .filter(([name, value]) => value !== null && !["seed", "template"].includes(name))
    .filter(([, value]) => typeof value !== "object" || Object.keys(value).length > 0)
    .map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
}
