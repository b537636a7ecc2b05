// Full text over all chats: what is found stands in place of the list, and is marked in the message itself.

import { explained, request } from "./api.js";
import { showChatList } from "./chat-list.js";
import { byId, debounced, fill, h } from "./dom.js";
import { t } from "./i18n.js";

const WAIT_MS = 150;
const HIGHLIGHT = "search-hit";

const field = /** @type {HTMLInputElement} */ (byId("search"));
/** @type {AbortController | null} */
let asking = null;
/** @type {(chat: string, message: string | null) => Promise<HTMLElement | null>} */
let go = async () => null;

/**
 * @param {(chat: string, message: string | null) => Promise<HTMLElement | null>} goTo opens a chat at a message, and
 *   returns the message's element
 */
export function mountSearch(goTo) {
  go = goTo;
  const ask = debounced(WAIT_MS, () => void search());
  field.addEventListener("input", () => ask());
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && field.value) {
      event.stopPropagation();
      clearSearch();
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      const first = byId("hits").querySelector("a");
      if (!first || byId("hits").hidden) return;
      event.preventDefault();
      if (event.key === "Enter") first.click();
      else first.focus();
    }
  });
  byId("hits").addEventListener("keydown", stepped);
  relabelSearch();
}

/** The labels, in the page's language. */
export function relabelSearch() {
  field.placeholder = t("Search");
  field.setAttribute("aria-label", t("Search all chats"));
}

/** Puts the list of chats back. */
export function clearSearch() {
  field.value = "";
  asking?.abort();
  showHits(null);
  CSS.highlights?.delete(HIGHLIGHT);
}

async function search() {
  asking?.abort();
  const words = field.value.trim();
  if (!words) {
    clearSearch();
    return;
  }
  asking = new AbortController();
  try {
    const { hits } = await request("GET", `/search?q=${encodeURIComponent(words)}`, undefined, asking.signal);
    showHits(hits.length ? h("ul", {}, hits.map((/** @type {import("./types.js").Hit} */ hit) => hitRow(hit))) : nothing(words));
  } catch (error) {
    if (!(error instanceof DOMException)) showHits(h("p", { class: "problem", role: "alert" }, explained(error)));
  }
}

/** @param {Element | null} content null: the list of chats is shown instead */
function showHits(content) {
  const hits = byId("hits");
  hits.hidden = content === null;
  byId("chats").hidden = content !== null;
  fill(hits, content);
  if (content === null) showChatList();
}

/** @param {string} words */
function nothing(words) {
  return h("p", { class: "hint", role: "status" }, t("Nothing found for “{words}”.", { words }));
}

/** @param {import("./types.js").Hit} hit */
function hitRow(hit) {
  const link = h(
    "a",
    { href: `#chat/${hit.chat}` },
    h("span", { class: "chat-title" }, hit.title || t("New chat")),
    h("span", { class: "hit-text" }, hit.parts.map(([text, isHit]) => (isHit ? h("mark", {}, text) : text))),
  );
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const words = hit.parts.filter(([, isHit]) => isHit).map(([text]) => text);
    const element = await go(hit.chat, hit.message);
    if (element) highlight(element, words);
  });
  return h("li", {}, link);
}

/**
 * Marks the words in a message without touching its elements.
 * @param {HTMLElement} element
 * @param {string[]} words
 */
function highlight(element, words) {
  if (!CSS.highlights) return;
  const wanted = [...new Set(words.map((word) => word.toLowerCase()))].filter((word) => word);
  const ranges = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = (node.nodeValue ?? "").toLowerCase();
    for (const word of wanted) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set(HIGHLIGHT, new Highlight(...ranges));
  const first = ranges[0]?.startContainer.parentElement;
  first?.scrollIntoView({ block: "center" });
}

/** @param {KeyboardEvent} event */
function stepped(event) {
  const links = /** @type {HTMLElement[]} */ ([...byId("hits").querySelectorAll("a")]);
  const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (event.key === "ArrowDown") links[at + 1]?.focus();
  else if (event.key === "ArrowUp") (links[at - 1] ?? field).focus();
  else if (event.key === "Escape") {
    clearSearch();
    field.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Puts the cursor into the search field. */
export function focusSearch() {
  field.focus();
  field.select();
}
