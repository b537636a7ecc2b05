// What the server reports becomes state. Two windows hear the same, so they show the same.

import { announce } from "./announce.js";
import { loadPath, loadServer } from "./chats.js";
import { showBlocks } from "./growing-blocks.js";
import { t } from "./i18n.js";
import { change, state } from "./state.js";

/** @param {any} event */
export function receive(event) {
  const handler = HANDLERS[event.type];
  if (handler) handler(event);
}

/** @param {"open" | "lost"} connection */
export function connectionChanged(connection) {
  const before = state.connection;
  change({ connection });
  if (connection === "open" && before === "lost") void catchUp();
}

/** After a gap everything is asked for again. */
async function catchUp() {
  try {
    await loadServer();
    if (state.chat.id) await loadPath(state.chat.id);
  } catch {
    // The stream breaks off with the server, and is begun again.
  }
}

/** @type {Record<string, (event: any) => void>} */
const HANDLERS = {
  hello: (event) => {
    for (const answer of event.answers ?? []) {
      if (answer.blocks) showBlocks(answer.message ?? answer.id, 0, answer.blocks);
    }
  },
  chat: (event) => {
    hearOfChat(event.chat.id);
    chatChanged(event.chat);
  },
  "chat-deleted": (event) => {
    const id = typeof event.chat === "string" ? event.chat : event.chat?.id ?? event.id;
    hearOfChat(id);
    chatGone(id);
  },
  message: (event) => {
    hear(event.message);
    messageChanged(event.message);
  },
  blocks: (event) => showBlocks(event.message, event.from, event.blocks),
  progress: (event) => change({ progress: { ...state.progress, [event.message]: event } }),
  model: (event) => change({ models: replaced(state.models, event.model, "name") }),
  job: (event) => change({ jobs: replaced(state.jobs, event.job, "id") }),
  settings: (event) => change({ settings: event.settings }),
};

/** @param {import("./types.js").Chat} chat */
export function chatChanged(chat) {
  change({ chats: sorted(replaced(state.chats, chat, "id")) });
  if (chat.id !== state.chat.id) return;
  const last = state.messages[state.messages.length - 1];
  if (chat.leaf !== (last?.id ?? null) && !state.moreAfter && !state.loadingMessages) void loadPath(chat.id);
}

/** @param {string} id */
function chatGone(id) {
  change({ chats: state.chats.filter((chat) => chat.id !== id) });
  if (state.chat.id === id) location.hash = "";
}

/** How often events spoke of a chat. @type {Map<string, number>} */
const spoken = new Map();

/** @param {string} id */
function hearOfChat(id) {
  spoken.set(id, timesHeard(id) + 1);
}

/**
 * Events come in the order of what happened, answers to requests do not. An answer is old where this number has changed
 * since it was asked for.
 * @param {string} chat its id
 */
export function timesHeard(chat) {
  return spoken.get(chat) ?? 0;
}

/** What the events last said of messages: an answer can be finished before the request that began it is answered. */
/** @type {Map<string, import("./types.js").Message>} */
const heard = new Map();
const MOST_HEARD = 100;

/**
 * The newer of what a request answered and what events have said meanwhile.
 * @param {import("./types.js").Message} message as it was answered
 */
export function newest(message) {
  const known = heard.get(message.id);
  return known && message.state === "writing" ? known : message;
}

/** @param {import("./types.js").Message} message */
function hear(message) {
  heard.delete(message.id);
  heard.set(message.id, message);
  const oldest = heard.keys().next().value;
  if (heard.size > MOST_HEARD && oldest !== undefined) heard.delete(oldest);
}

/** @param {import("./types.js").Message} message */
export function messageChanged(message) {
  const index = state.messages.findIndex((known) => known.id === message.id);
  const before = state.messages[index];
  if (message.state !== "writing") forgetProgress(message.id);
  if (before) {
    change({ messages: state.messages.with(index, message) });
    if (before.state === "writing" && message.state !== "writing") sayFinished(message);
    return;
  }
  const last = state.messages[state.messages.length - 1];
  if (message.chat === state.chat.id && message.parent === (last?.id ?? null) && !state.moreAfter) {
    change({ messages: [...state.messages, message] });
  }
}

/** @param {string} id */
function forgetProgress(id) {
  if (!(id in state.progress)) return;
  const { [id]: _, ...others } = state.progress;
  change({ progress: others });
}

/** @param {import("./types.js").Message} message */
function sayFinished(message) {
  if (message.state === "failed") announce(t("The answer failed: {what}", { what: message.error?.message ?? "" }));
  else if (message.state === "stopped") announce(t("The answer was stopped."));
  else announce(t("The answer is finished: {text}", { text: message.text.slice(0, 1500) }));
}

/**
 * @template {Record<string, any>} T
 * @param {T[]} list
 * @param {T} item
 * @param {string} key
 * @returns {T[]} with the item in place of its older self, or at the end
 */
export function replaced(list, item, key) {
  const index = list.findIndex((other) => other[key] === item[key]);
  return index < 0 ? [...list, item] : list.with(index, item);
}

/** Pinned ones first, then the newest. @param {import("./types.js").Chat[]} chats */
export function sorted(chats) {
  return [...chats].sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.updated - a.updated);
}
