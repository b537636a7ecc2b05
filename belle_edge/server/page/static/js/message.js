// One turn on the page: text or rendered blocks, what it is doing, what can be done with it.

import { continueAnswer, regenerate, sendTurn, showSibling } from "./answers.js";
import { showDetails } from "./answer-details.js";
import { showOutcome, showPhase } from "./answer-status.js";
import { explained } from "./api.js";
import { attachmentChip } from "./attachments.js";
import { copyButton, equipCode, exchangeBlock } from "./code-blocks.js";
import { fill, h } from "./dom.js";
import { tokens } from "./format.js";
import { forgetBlocks, knownBlocks, onBlocks } from "./growing-blocks.js";
import { langTag, t } from "./i18n.js";
import { icon } from "./icons.js";
import { turnEditor } from "./turn-editor.js";
import { blockOf } from "./server-html.js";
import { change } from "./state.js";

/** @typedef {import("./types.js").Message} Message */

/** The view of one message. It stays the same object while the message changes. */
export class MessageView {
  /** @param {Message} message */
  constructor(message) {
    const mine = message.role === "user";
    this.message = message;
    /** @type {string[]} */
    this.shown = [];
    this.content = h("div", { class: mine ? "text" : "prose" });
    this.status = h("div", { class: "status", hidden: true });
    this.note = h("div", { class: "note", hidden: true });
    this.chips = h("div", { class: "chips" });
    this.actions = h("div", { class: "actions" });
    this.element = h(
      "article",
      { class: `message ${mine ? "user" : "assistant"}`, "data-message": message.id, tabindex: -1 },
      h("h3", { class: "visually-hidden" }, mine ? t("You") : t("Answer")),
      h("div", { class: "body" }, this.chips, this.content, ...(mine ? [] : [this.status, this.note])),
      this.actions,
    );
    if (!mine) onBlocks(message.id, (from, blocks) => this.#showBlocks([...this.shown.slice(0, from), ...blocks]));
    this.update(message);
  }

  /** @param {Message} message */
  update(message) {
    this.message = message;
    this.element.dataset["state"] = message.state;
    this.content.lang = langTag(message.language);
    if (message.role === "user") this.content.textContent = message.text;
    else this.#updateAnswer(message);
    fill(this.chips, (message.attachments ?? []).map((attachment) => attachmentChip(attachment)));
    fill(this.actions, this.#branches(), message.role === "user" ? this.#turnActions() : this.#answerActions());
  }

  /** @param {import("./types.js").Progress | undefined} progress */
  showProgress(progress) {
    if (this.message.state === "writing") showPhase(this.status, progress);
  }

  /** The message is no longer on the page. */
  leave() {
    forgetBlocks(this.message.id);
  }

  /** @param {Message} message */
  #updateAnswer(message) {
    const writing = message.state === "writing";
    this.status.hidden = !writing;
    this.element.setAttribute("aria-busy", String(writing));
    const blocks = message.blocks ?? [];
    this.#showBlocks(writing ? knownBlocks(message.id, blocks) : blocks);
    showOutcome(this.note, message, {
      onContinue: () => this.#run(() => continueAnswer(this.message)),
      onRetry: () => this.#run(() => regenerate(this.message)),
    });
  }

  /** Only what differs is put in anew. @param {string[]} blocks */
  #showBlocks(blocks) {
    const { children } = this.content;
    let same = 0;
    while (same < blocks.length && blocks[same] === this.shown[same]) same += 1;
    for (let index = same; index < blocks.length; index += 1) {
      const fresh = blockOf(blocks[index] ?? "");
      const old = /** @type {HTMLElement | undefined} */ (children[index]);
      if (old) exchangeBlock(old, fresh);
      else {
        equipCode(fresh);
        this.content.append(fresh);
      }
    }
    while (children.length > blocks.length) this.content.lastElementChild?.remove();
    this.shown = blocks;
  }

  /** ‹ 2/3 › where there are other branches. */
  #branches() {
    const { siblings, id } = this.message;
    if (siblings.length < 2) return null;
    const place = siblings.indexOf(id);
    const step = (/** @type {number} */ by, /** @type {string} */ label, /** @type {import("./icons.js").IconName} */ name) => {
      const other = siblings[place + by];
      const go = () => other && this.#run(() => showSibling(this.message, other));
      return iconButton(label, name, go, !other);
    };
    return h(
      "span",
      { class: "branches", role: "group", "aria-label": t("Versions") },
      step(-1, t("Previous version"), "left"),
      h("span", {}, `${place + 1}/${siblings.length}`),
      step(1, t("Next version"), "right"),
    );
  }

  #turnActions() {
    return [
      copyButton(t("Copy"), () => this.message.text),
      iconButton(t("Edit"), "edit", () => this.edit()),
    ];
  }

  #answerActions() {
    const { message } = this;
    if (message.state === "writing") return [];
    return [
      copyButton(t("Copy"), () => this.message.text),
      iconButton(t("Answer again"), "redo", () => this.#run(() => regenerate(this.message))),
      iconButton(t("How this answer was made"), "info", () => showDetails(this.message)),
      message.timings?.tokens ? h("span", { class: "measure" }, tokens(message.timings.tokens)) : null,
    ];
  }

  /** Turns the text of the person's turn into a field; what is sent becomes a version beside it. */
  edit() {
    const { message } = this;
    if (this.element.classList.contains("editing")) return;
    const close = () => {
      editor.remove();
      this.element.classList.remove("editing");
      /** @type {HTMLElement | null} */ (this.actions.querySelector("button:last-of-type"))?.focus();
    };
    const editor = turnEditor(message.text, close, async (text) => {
      const attachments = (message.attachments ?? []).map((attachment) => attachment.id);
      await sendTurn({ text, attachments, parent: message.parent });
    });
    this.element.classList.add("editing");
    this.content.after(editor);
    editor.querySelector("textarea")?.focus();
  }

  /** @param {() => Promise<void>} action */
  async #run(action) {
    try {
      change({ sendError: null });
      await action();
    } catch (error) {
      change({ sendError: explained(error) });
    }
  }
}

/**
 * @param {string} label
 * @param {import("./icons.js").IconName} name
 * @param {() => void} onclick
 * @param {boolean} [disabled]
 */
export function iconButton(label, name, onclick, disabled = false) {
  const attributes = { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, disabled };
  return h("button", attributes, icon(name));
}
