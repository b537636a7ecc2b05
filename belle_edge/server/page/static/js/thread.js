// The open chat: a window of its messages, kept in step with the state, and followed only at its end.

import { messages as messageCount } from "./answer-details.js";
import { explained } from "./api.js";
import { loadNewer, loadOlder, loadPath } from "./chats.js";
import { byId, h } from "./dom.js";
import { showEmptyChat } from "./empty-chat.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { MessageView } from "./message.js";
import { ScrollKeeper } from "./scrolling.js";
import { change, state, watch } from "./state.js";

/** @type {Map<string, MessageView>} */
const views = new Map();
/** @type {ScrollKeeper} */
let scroll;
/** @type {string | null} */
let shownChat = null;

/** Builds the thread once. */
export function mountThread() {
  const column = byId("messages");
  const toEnd = h("button", { type: "button", id: "to-end", hidden: true }, icon("end"));
  byId("thread-frame").append(toEnd);
  scroll = new ScrollKeeper(byId("thread"), column, toEnd);
  toEnd.addEventListener("click", () => void goToEnd());
  watchEnd(byId("older"), loadOlder);
  watchEnd(byId("newer"), loadNewer);
  watch(["messages", "moreBefore", "moreAfter"], showMessages);
  watch(["progress"], showProgress);
  watch(["measure"], markDropped);
  watch(["chat"], () => {
    if (state.chat.id !== shownChat) showMessages();
  });
  relabelThread();
}

/** In another language everything is built anew. */
export function relabelThread() {
  const toEnd = byId("to-end");
  toEnd.setAttribute("aria-label", t("To the end"));
  toEnd.title = t("To the end");
  byId("thread").setAttribute("aria-label", t("Messages"));
  for (const view of views.values()) view.element.remove();
  views.clear();
  byId("messages").replaceChildren();
  showMessages();
}

async function goToEnd() {
  if (state.moreAfter && state.chat.id) await loadPath(state.chat.id);
  scroll.toEnd();
}

/** @param {HTMLElement} mark @param {() => Promise<void>} load */
function watchEnd(mark, load) {
  const observer = new IntersectionObserver(
    async (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      try {
        await load();
        // Still in sight, it would not be told again by itself.
        observer.unobserve(mark);
        observer.observe(mark);
      } catch (error) {
        change({ sendError: explained(error) });
      }
    },
    { root: byId("thread"), rootMargin: "1200px" },
  );
  observer.observe(mark);
}

/** The page's messages become those of the state: by id, so that what stays is not touched. */
function showMessages() {
  const column = byId("messages");
  const sameChat = shownChat === state.chat.id;
  shownChat = state.chat.id;
  const wanted = new Set(state.messages.map((message) => message.id));
  const keepPlace = sameChat && state.messages.some((message) => views.has(message.id));
  const place = keepPlace ? scroll.place() : null;
  for (const [id, view] of views) {
    if (wanted.has(id)) continue;
    view.leave();
    view.element.remove();
    views.delete(id);
  }
  let next = column.firstElementChild;
  for (const message of state.messages) {
    let view = views.get(message.id);
    if (!view) {
      view = new MessageView(message);
      views.set(message.id, view);
    } else if (view.message !== message) view.update(message);
    if (view.element === next) next = next.nextElementSibling;
    else column.insertBefore(view.element, next);
  }
  byId("older").hidden = !state.moreBefore;
  byId("newer").hidden = !state.moreAfter;
  showEmptyChat(state.messages.length === 0 && state.chat.id === null);
  showProgress();
  markDropped();
  if (place) scroll.restore(place);
  else if (!state.moreAfter) scroll.toEnd();
}

function showProgress() {
  for (const message of state.messages) {
    if (message.state === "writing") views.get(message.id)?.showProgress(state.progress[message.id]);
  }
}

/** A line after what the newest answer did not see; a mark on what the next one would not. */
function markDropped() {
  for (const line of document.querySelectorAll(".left-out")) line.remove();
  const answer = [...state.messages].reverse().find((message) => message.role === "assistant");
  const seen = new Set(answer?.dropped ?? []);
  const next = new Set(state.measure?.dropped ?? []);
  let last = null;
  for (const [id, view] of views) {
    view.element.classList.toggle("was-dropped", seen.has(id));
    view.element.classList.toggle("will-drop", next.has(id) && !seen.has(id));
    if (seen.has(id)) last = view;
  }
  if (!last) return;
  const text = t("Above this line: no longer seen by the model ({n})", { n: messageCount(seen.size) });
  last.element.after(h("div", { class: "left-out", role: "separator", "aria-label": text }, h("span", {}, text)));
}

/** The last turn of the person, opened for editing. @returns {boolean} whether there is one */
export function editLastTurn() {
  const turn = [...state.messages].reverse().find((message) => message.role === "user");
  const view = turn && views.get(turn.id);
  if (!view) return false;
  view.edit();
  view.element.scrollIntoView({ block: "nearest" });
  return true;
}

/**
 * Goes to a message that is loaded, and gives it the focus.
 * @param {string} id
 * @returns {HTMLElement | null} its element
 */
export function goToMessage(id) {
  const view = views.get(id);
  if (!view) return null;
  scroll.toElement(view.element);
  view.element.focus({ preventScroll: true });
  return view.element;
}

/** The next change is followed to the end, as after sending. */
export function followEnd() {
  scroll.toEnd();
}
