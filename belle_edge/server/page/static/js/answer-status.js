// What an answer is doing, with its measure; what became of it, and what to do.

import { fill, h } from "./dom.js";
import { number, percent, size, speed, timeLeft, tokens } from "./format.js";
import { t } from "./i18n.js";

/**
 * The line under an answer that is being made.
 * @param {HTMLElement} line
 * @param {import("./types.js").Progress | undefined} progress
 */
export function showPhase(line, progress) {
  const { text, part } = phase(progress);
  let bar = line.querySelector("progress");
  if (part === null) bar?.remove();
  else if (!bar) line.append((bar = h("progress", { max: 1, "aria-label": t("Progress") })));
  if (bar && part !== null) bar.value = part;
  const words = line.querySelector("span") ?? line.insertBefore(h("span"), line.firstChild);
  if (words.textContent !== text) words.textContent = text;
}

/**
 * @param {import("./types.js").Progress | undefined} progress
 * @returns {{text: string, part: number | null}}
 */
function phase(progress) {
  if (!progress) return { text: t("Starting…"), part: null };
  const { done = 0, total = 0 } = progress;
  const part = total > 0 ? Math.min(1, done / total) : null;
  const left = timeLeft(progress.seconds_left);
  switch (progress.phase) {
    case "waiting":
      return { text: t("Waiting in line: place {place}", { place: number(progress.place ?? 1) }), part: null };
    case "loading":
      return { text: joined(t("Loading the model: {done} of {total}", { done: size(done), total: size(total) }), left), part };
    case "reading":
      return {
        text: joined(t("Reading: {part} of {total}", { part: percent(part ?? 0), total: tokens(total) }), left),
        part,
      };
    default:
      return { text: joined(t("Writing"), progress.tokens_per_s ? speed(progress.tokens_per_s) : ""), part: null };
  }
}

/** @param {...string} parts */
function joined(...parts) {
  return parts.filter((text) => text).join(" · ");
}

/**
 * What is to be said about an answer that is not simply finished.
 * @param {HTMLElement} note
 * @param {import("./types.js").Message} message
 * @param {{onContinue: () => void, onRetry: () => void}} actions
 */
export function showOutcome(note, message, actions) {
  const said = outcome(message);
  note.hidden = !said;
  if (!said) {
    note.replaceChildren();
    return;
  }
  const button =
    said.action === "continue"
      ? h("button", { type: "button", class: "small-button", onclick: actions.onContinue }, t("Continue"))
      : h("button", { type: "button", class: "small-button", onclick: actions.onRetry }, t("Try again"));
  note.classList.toggle("error", said.action === "retry");
  fill(note, h("span", {}, said.text), button);
}

/**
 * @param {import("./types.js").Message} message
 * @returns {{text: string, action: "continue" | "retry"} | null}
 */
function outcome(message) {
  switch (message.state) {
    case "stopped":
      return { text: t("You stopped this answer."), action: "continue" };
    case "length":
      return { text: t("The answer reached its length limit."), action: "continue" };
    case "cut":
      return { text: t("BELLE Edge ended while it wrote this answer."), action: "continue" };
    case "failed":
      return { text: message.error?.message ?? t("The answer failed."), action: "retry" };
    default:
      return null;
  }
}
