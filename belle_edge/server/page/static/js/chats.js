// What can be done with chats. Each of these asks the server and puts its answer into the state.

import { download, request, upload } from "./api.js";
import { newestOnly } from "./overtaking.js";
import { change, currentModel, runningAnswer, state } from "./state.js";
import { chatChanged, newest, sorted, timesHeard } from "./sync.js";

const WINDOW = 24; // messages asked for at once
const MOST = 120; // that are on the page; those at the other end go, and come back when they are scrolled to
const LIST = 100;
const askForChat = newestOnly();
const askForMessages = newestOnly();
/** @type {(keyof import("./types.js").Sampling)[]} */
const SETTINGS = ["temperature", "top_k", "top_p", "repetition_penalty", "max_tokens", "seed", "overflow"];

/** Everything of the start: settings, models, jobs, the first chats. */
export async function loadServer() {
  const [server, list] = await Promise.all([request("GET", "/state"), request("GET", `/chats?limit=${LIST}`)]);
  change({ server, settings: server.settings, models: server.models, jobs: server.jobs });
  change({ chats: sorted(list.chats), moreChats: list.more });
}

/** The next chats of the list. */
export async function loadMoreChats() {
  const last = state.chats[state.chats.length - 1];
  if (!last || !state.moreChats) return;
  const list = await request("GET", `/chats?limit=${LIST}&before=${last.id}`);
  const known = new Set(state.chats.map((chat) => chat.id));
  const fresh = list.chats.filter((/** @type {{id: string}} */ chat) => !known.has(chat.id));
  change({ chats: sorted([...state.chats, ...fresh]), moreChats: list.more && fresh.length > 0 });
}

/** The open chat stays open: one that is still on its way is not wanted any more. */
export function stayInChat() {
  askForChat();
}

/** A chat that is not made before its first turn. */
export function startChat() {
  stayInChat();
  const model = state.chat.model;
  change({ chat: { id: null, model, system: "", settings: {} }, ...NO_MESSAGES });
}

const NO_MESSAGES = { messages: [], moreBefore: false, moreAfter: false, measure: null, sendError: null, progress: {} };

/**
 * Opens a chat, at its end or around one of its messages.
 * @param {string} id
 * @param {string | null} [around]
 * @returns {Promise<import("./types.js").Chat | null>} null where another chat was opened meanwhile
 */
export async function openChat(id, around = null) {
  const isNewest = askForChat();
  const chat = await request("GET", `/chats/${id}`).catch((error) => {
    if (isNewest()) throw error;
  });
  if (!isNewest()) return null;
  const { model, system, settings } = chat;
  const same = state.chat.id === id;
  change({
    chat: { id, model, system: system ?? "", settings: settings ?? {} },
    ...(same ? {} : NO_MESSAGES),
  });
  await loadPath(id, around);
  return isNewest() ? chat : null;
}

/**
 * The newest messages of a chat, or those around one.
 * @param {string} id
 * @param {string | null} [around]
 */
export async function loadPath(id, around = null) {
  const isNewest = askForMessages();
  change({ loadingMessages: true });
  try {
    const limit = Math.max(WINDOW, around ? 0 : Math.min(state.messages.length, MOST));
    const query = around ? `&around=${around}` : "";
    const page = await request("GET", `/chats/${id}/messages?limit=${limit}${query}`);
    if (!isNewest() || state.chat.id !== id) return;
    const known = state.chats.find((chat) => chat.id === id);
    if (around && page.leaf && page.leaf !== known?.leaf) await changeChat(id, { leaf: page.leaf });
    change({ messages: page.messages.map(newest), moreBefore: page.more, moreAfter: page.more_after ?? false });
  } finally {
    if (isNewest()) change({ loadingMessages: false });
  }
}

/** Older messages, before the first that is shown. */
export async function loadOlder() {
  const first = state.messages[0];
  if (!first || !state.moreBefore || state.loadingMessages) return;
  const page = await pageOf(`before=${first.id}`);
  if (!page) return;
  const all = [...page.messages, ...state.messages];
  const kept = runningAnswer() ? all : all.slice(0, MOST);
  change({ messages: kept, moreBefore: page.more, moreAfter: state.moreAfter || kept.length < all.length });
}

/** Newer messages, after the last that is shown. */
export async function loadNewer() {
  const last = state.messages[state.messages.length - 1];
  if (!last || !state.moreAfter || state.loadingMessages) return;
  const page = await pageOf(`after=${last.id}`);
  if (!page) return;
  const all = [...state.messages, ...page.messages];
  const kept = all.slice(-MOST);
  change({
    messages: kept.map(newest),
    moreAfter: page.more_after ?? false,
    moreBefore: state.moreBefore || kept.length < all.length,
  });
}

/** @param {string} where */
async function pageOf(where) {
  const id = state.chat.id;
  const isNewest = askForMessages();
  change({ loadingMessages: true });
  try {
    const page = await request("GET", `/chats/${id}/messages?limit=${WINDOW}&${where}`);
    return isNewest() && state.chat.id === id ? page : null;
  } finally {
    if (isNewest()) change({ loadingMessages: false });
  }
}

/**
 * @param {string} id
 * @param {Record<string, any>} changes
 */
export async function changeChat(id, changes) {
  const before = timesHeard(id);
  const chat = await request("PATCH", `/chats/${id}`, changes);
  if (timesHeard(id) === before) chatChanged(chat);
  return chat;
}

/**
 * Settings of the open chat: kept in the page before the chat exists.
 * @param {Partial<import("./types.js").OpenChat>} changes
 */
export async function changeOpenChat(changes) {
  change({ chat: { ...state.chat, ...changes } });
  const { id: _, settings, ...sent } = changes;
  if (!state.chat.id) return;
  const all = Object.fromEntries(SETTINGS.map((name) => [name, settings?.[name] ?? null])); // null takes one back
  await changeChat(state.chat.id, settings ? { ...sent, settings: all } : sent);
}

/** The id of the open chat, which is made now where it is new. @returns {Promise<string>} */
export async function idOfOpenChat() {
  if (state.chat.id) return state.chat.id;
  const { system, settings } = state.chat;
  const model = currentModel()?.name; // the one that the header shows
  const chat = await request("POST", "/chats", { ...(model ? { model } : {}), system, settings });
  change({ chat: { ...state.chat, id: chat.id, model: chat.model } });
  chatChanged(chat);
  history.replaceState(null, "", `#chat/${chat.id}`);
  return chat.id;
}

/** @param {import("./types.js").Chat} chat */
export async function deleteChat(chat) {
  await request("DELETE", `/chats/${chat.id}`);
  change({ chats: state.chats.filter((other) => other.id !== chat.id), deleted: { id: chat.id, title: chat.title } });
  if (state.chat.id === chat.id) location.hash = "";
}

/** Brings the deleted chat back. */
export async function restoreChat() {
  if (!state.deleted) return;
  const chat = await request("POST", `/chats/${state.deleted.id}/restore`);
  change({ deleted: null });
  chatChanged(chat);
}

/**
 * @param {import("./types.js").Chat} chat
 * @param {"json" | "markdown"} format
 */
export async function exportChat(chat, format) {
  await download(`/chats/${chat.id}/export?format=${format}`, format === "json" ? "chat.json" : "chat.md");
}

/** @param {File} file @returns {Promise<string[]>} ids of the chats */
export async function importChats(file) {
  const { chats } = await upload(`/import?name=${encodeURIComponent(file.name)}`, file);
  await loadServer();
  return chats;
}
