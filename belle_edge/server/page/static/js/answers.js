// What can be done with turns and answers of the open chat.

import { request } from "./api.js";
import { changeChat, idOfOpenChat, loadPath } from "./chats.js";
import { change, leafOfOpenChat, state } from "./state.js";
import { messageChanged, newest } from "./sync.js";

/**
 * A new turn at the end of the path, or beside an earlier one where `parent` names that one's parent.
 * @param {{text: string, attachments: string[], parent?: string | null, overflow?: "slide"}} turn
 */
export async function sendTurn(turn) {
  if (state.moreAfter && state.chat.id) await loadPath(state.chat.id);
  const parent = turn.parent === undefined ? leafOfOpenChat() : turn.parent;
  const chat = await idOfOpenChat();
  await ask(chat, { ...turn, parent }, parent);
}

/** Another answer beside this one. @param {import("./types.js").Message} message */
export async function regenerate(message) {
  await ask(message.chat, { regenerate: message.id }, message.parent);
}

/** Writes on where this answer ended. @param {import("./types.js").Message} message */
export async function continueAnswer(message) {
  const { assistant } = await request("POST", `/chats/${message.chat}/answers`, { continue: message.id });
  messageChanged(newest(assistant));
}

/** @param {string} id of the message that is being written */
export async function stopAnswer(id) {
  messageChanged(newest(await request("POST", `/messages/${id}/stop`)));
}

/** Shows another branch. @param {import("./types.js").Message} message @param {string} sibling */
export async function showSibling(message, sibling) {
  await changeChat(message.chat, { leaf: sibling });
  await loadPath(message.chat, state.moreAfter ? sibling : null);
}

/**
 * A chat that goes on from a summary of this one, written by the model.
 * @returns {Promise<import("./types.js").Chat>}
 */
export async function newChatWithSummary() {
  return request("POST", `/chats/${state.chat.id}/summary`);
}

/**
 * @param {string} chat
 * @param {Record<string, any>} body
 * @param {string | null} parent of the first new message: what follows it on the shown path makes way
 */
async function ask(chat, body, parent) {
  const { user, assistant } = await request("POST", `/chats/${chat}/answers`, body);
  if (state.chat.id !== chat) return;
  const end = parent === null ? 0 : state.messages.findIndex((message) => message.id === parent) + 1;
  const fresh = [user, assistant].filter((message) => message);
  change({ messages: [...state.messages.slice(0, end), ...fresh.map(newest)], moreAfter: false, measure: null });
}
