// What was typed and not sent. Kept here at each key, so that a reload loses nothing, and on the server a little later.

import { request } from "./api.js";
import { debounced } from "./dom.js";

const PREFIX = "belle.draft.";
const SERVER_MS = 700;

const toServer = debounced(SERVER_MS, (/** @type {string} */ chat, /** @type {string} */ text) => {
  request("PATCH", `/chats/${chat}`, { draft: text }).catch(() => {});
});

/**
 * @param {string | null} chat null for the chat that is not made yet
 * @param {string} text
 */
export function keepDraft(chat, text) {
  try {
    if (text) localStorage.setItem(PREFIX + (chat ?? "new"), text);
    else localStorage.removeItem(PREFIX + (chat ?? "new"));
  } catch {
    // The store is full: the server keeps it.
  }
  if (chat) toServer(chat, text);
}

/** Before the window goes, or another chat comes. */
export function flushDraft() {
  toServer.now();
}

/**
 * @param {string | null} chat
 * @param {string | null} [onServer] what the server has for it
 * @returns {string}
 */
export function draftOf(chat, onServer = null) {
  return localStorage.getItem(PREFIX + (chat ?? "new")) ?? onServer ?? "";
}
