// All that the page knows, in one place. Views read it and are told which parts of it changed.

/**
 * @typedef {object} State
 * @property {import("./types.js").ServerState | null} server what it said at the start
 * @property {import("./types.js").Settings} settings
 * @property {import("./types.js").Model[]} models
 * @property {import("./types.js").Job[]} jobs
 * @property {import("./types.js").Chat[]} chats those of the list that are loaded
 * @property {boolean} moreChats
 * @property {import("./types.js").OpenChat} chat the open one; its id is null before its first turn
 * @property {import("./types.js").Message[]} messages a window of the path to the open chat's leaf
 * @property {boolean} moreBefore
 * @property {boolean} moreAfter
 * @property {boolean} loadingMessages
 * @property {Record<string, import("./types.js").Progress>} progress by message
 * @property {import("./types.js").Measure | null} measure of what the composer holds
 * @property {string | null} sendError
 * @property {"connecting" | "open" | "lost"} connection
 * @property {{id: string, title: string} | null} deleted the chat that can be brought back
 */

/** @type {State} */
export const state = {
  server: null,
  settings: {},
  models: [],
  jobs: [],
  chats: [],
  moreChats: false,
  chat: { id: null, model: null, system: "", settings: {} },
  messages: [],
  moreBefore: false,
  moreAfter: false,
  loadingMessages: false,
  progress: {},
  measure: null,
  sendError: null,
  connection: "connecting",
  deleted: null,
};

/** @type {{keys: (keyof State)[], call: () => void}[]} */
const watchers = [];

/**
 * Calls whenever one of these parts changes.
 * @param {(keyof State)[]} keys
 * @param {() => void} call
 */
export function watch(keys, call) {
  watchers.push({ keys, call });
}

/** @param {Partial<State>} part */
export function change(part) {
  const keys = /** @type {(keyof State)[]} */ (Object.keys(part)).filter((key) => state[key] !== part[key]);
  if (keys.length === 0) return;
  Object.assign(state, part);
  for (const watcher of watchers) {
    if (watcher.keys.some((key) => keys.includes(key))) watcher.call();
  }
}

/** The answer that is being written in the open chat, if there is one. */
export function runningAnswer() {
  return state.messages.find((message) => message.state === "writing" && message.role === "assistant") ?? null;
}

/** The last message of the open chat, whether it is on the page or not. @returns {string | null} */
export function leafOfOpenChat() {
  if (state.moreAfter) return state.chats.find((chat) => chat.id === state.chat.id)?.leaf ?? null;
  return state.messages[state.messages.length - 1]?.id ?? null;
}

/** The model that the open chat uses. */
export function currentModel() {
  const name = state.chat.model ?? state.settings.model;
  return state.models.find((model) => model.name === name) ?? state.models[0] ?? null;
}
