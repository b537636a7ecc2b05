// The list of chats: by day, pinned first; rename in place, a menu for the rest, and undo after a deletion.

import { explained } from "./api.js";
import { changeChat, deleteChat, exportChat, loadMoreChats, restoreChat } from "./chats.js";
import { byId, fill, h } from "./dom.js";
import { dayGroup } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { change, state, watch } from "./state.js";

/** @typedef {import("./types.js").Chat} Chat */

/** @type {string | null} */
let renaming = null;
/** @type {string | null} */
let problem = null;

/** Builds the list once. */
export function mountChatList() {
  watch(["chats", "moreChats", "deleted"], showChatList);
  watch(["chat"], markOpen);
  const list = byId("chats");
  list.addEventListener("scroll", () => {
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 400) loadMoreChats().catch(() => {});
  });
  showChatList();
}

/** Shows the list as the state has it. */
export function showChatList() {
  const list = byId("chats");
  const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest?.("[data-chat]");
  const focusedId = focused instanceof HTMLElement ? focused.dataset["chat"] : undefined;
  const nodes = [];
  let heading = "";
  let items = h("ul");
  for (const chat of state.chats) {
    const group = chat.pinned ? t("Pinned") : dayGroup(chat.updated);
    if (group !== heading) {
      heading = group;
      items = h("ul", { "aria-label": group });
      nodes.push(h("h3", {}, group), items);
    }
    items.append(row(chat));
  }
  if (nodes.length === 0) nodes.push(h("p", { class: "hint" }, t("Your chats will be listed here.")));
  const { scrollTop } = list;
  fill(list, nodes);
  list.scrollTop = scrollTop;
  if (focusedId && renaming === null) {
    list.querySelector(`[data-chat="${focusedId}"] a`)?.dispatchEvent(new Event("refocus"));
  }
  showUndo();
}

function markOpen() {
  for (const element of byId("chats").querySelectorAll("[data-chat]")) {
    const open = element instanceof HTMLElement && element.dataset["chat"] === state.chat.id;
    const link = element.querySelector("a");
    if (open) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  }
}

/** @param {Chat} chat */
function row(chat) {
  if (renaming === chat.id) return h("li", { class: "chat-row", "data-chat": chat.id }, renameField(chat));
  const title = titleOf(chat);
  const link = h(
    "a",
    { href: `#chat/${chat.id}`, "aria-current": chat.id === state.chat.id ? "page" : null, title },
    chat.writing ? h("span", { class: "writing-mark", role: "img", "aria-label": t("is being written") }) : null,
    h("span", { class: "chat-title" }, title),
  );
  link.addEventListener("refocus", () => link.focus());
  link.addEventListener("keydown", (event) => {
    if (event.key === "F2") startRenaming(chat);
    else if (event.key === "Delete") void attempt(() => deleteChat(chat));
  });
  const label = t("More for “{title}”", { title });
  const more = h("button", { type: "button", class: "icon-button", "aria-label": label, "aria-haspopup": "menu" }, icon("more"));
  more.addEventListener("click", () => openMenu(more, label, choices(chat)));
  return h("li", { class: "chat-row", "data-chat": chat.id }, link, more);
}

/** @param {Chat} chat */
export function titleOf(chat) {
  return chat.title || t("New chat");
}

/**
 * @param {Chat} chat
 * @returns {import("./menu.js").Choice[]}
 */
export function choices(chat) {
  return [
    { icon: "edit", text: t("Rename"), call: () => startRenaming(chat) },
    {
      icon: "pin",
      text: chat.pinned ? t("Unpin") : t("Pin"),
      call: () => attempt(() => changeChat(chat.id, { pinned: !chat.pinned })),
    },
    { icon: "save", text: t("Export as Markdown"), call: () => attempt(() => exportChat(chat, "markdown")) },
    { icon: "save", text: t("Export as JSON"), call: () => attempt(() => exportChat(chat, "json")) },
    { icon: "trash", text: t("Delete"), danger: true, call: () => attempt(() => deleteChat(chat)) },
  ];
}

/** @param {Chat} chat */
function startRenaming(chat) {
  renaming = chat.id;
  showChatList();
  const field = byId("chats").querySelector("input");
  field?.focus();
  field?.select();
}

/** @param {Chat} chat */
function renameField(chat) {
  const field = h("input", { type: "text", value: chat.title, maxlength: 200, "aria-label": t("Title of the chat") });
  let over = false;
  const end = async (/** @type {boolean} */ keep) => {
    if (over) return;
    over = true;
    renaming = null;
    const title = field.value.trim();
    if (keep && title && title !== chat.title) await attempt(() => changeChat(chat.id, { title }));
    showChatList();
    byId("chats").querySelector(`[data-chat="${chat.id}"] a`)?.dispatchEvent(new Event("refocus"));
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter") void end(true);
    else if (event.key === "Escape") {
      event.stopPropagation();
      void end(false);
    }
  });
  field.addEventListener("blur", () => void end(true));
  return field;
}

/** A line under the list: what was deleted and the way back, or what went wrong. */
function showUndo() {
  const line = byId("undo");
  line.hidden = !state.deleted && !problem;
  if (problem) fill(line, h("span", { class: "problem" }, problem), dismissal());
  else if (state.deleted) {
    const title = state.deleted.title || t("New chat");
    const undo = h("button", { type: "button", class: "link-button", onclick: () => attempt(restoreChat) }, t("Undo"));
    fill(line, h("span", {}, t("Deleted: {title}", { title })), undo, dismissal());
  } else line.replaceChildren();
}

function dismissal() {
  const label = t("Dismiss");
  const dismiss = () => {
    problem = null;
    change({ deleted: null });
    showUndo();
  };
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: dismiss }, icon("close"));
}

/** @param {() => Promise<any>} action */
async function attempt(action) {
  try {
    problem = null;
    await action();
  } catch (error) {
    problem = explained(error);
  }
  showUndo();
}
