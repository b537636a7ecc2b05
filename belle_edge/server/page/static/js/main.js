// The start of the page: builds its parts, asks the server for everything, then follows the address and the events.

import { explained, whenKeyIsWanted } from "./api.js";
import { mountAppearance } from "./appearance.js";
import { choices, mountChatList, showChatList, titleOf } from "./chat-list.js";
import { mountChatSettings, showChatSettings } from "./chat-settings.js";
import { loadServer, openChat, startChat, stayInChat } from "./chats.js";
import { composerFor, focusComposer, mountComposer, relabelComposer, stopRunning } from "./composer.js";
import { mountConnectionBar, showConnection } from "./connection-bar.js";
import { relabelMeter } from "./context-meter.js";
import { relabelDialogs } from "./dialog.js";
import { byId, fill } from "./dom.js";
import { listen } from "./events.js";
import { mountFirstRun, relabelFirstRun } from "./first-run.js";
import { bestLanguage, language, loadLanguage, recallLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { mountJobs } from "./jobs.js";
import { askForKey, takeKeyFromAddress } from "./key-dialog.js";
import { openMenu } from "./menu.js";
import { mountModels, showModelButton } from "./models.js";
import { clearSearch, focusSearch, mountSearch, relabelSearch } from "./search.js";
import { showSettings } from "./settings.js";
import { mountShortcuts } from "./shortcuts.js";
import { closeDrawer, mountSidebar, relabelSidebar, showSidebar, toggleSidebar } from "./sidebar.js";
import { change, state, watch } from "./state.js";
import { connectionChanged, receive } from "./sync.js";
import { goToMessage, mountThread, relabelThread } from "./thread.js";

const LANGUAGES = ["zh", "en", "es"]; // until the server has said which it knows

/** The labels of what index.html has, in the page's language. */
function relabel() {
  const labels = /** @type {[string, string][]} */ ([
    ["new-chat", t("New chat")],
    ["settings", t("Settings")],
    ["chat-settings", t("Settings of this chat")],
    ["chat-menu", t("More")],
  ]);
  for (const [id, label] of labels) {
    byId(id).setAttribute("aria-label", label);
    byId(id).title = label;
  }
  fill(byId("new-chat"), icon("plus"), t("New chat"));
  fill(byId("settings"), icon("gear"), t("Settings"));
  fill(byId("chat-settings"), icon("sliders"));
  fill(byId("chat-menu"), icon("more"));
  byId("skip").textContent = t("To the message field");
}

/** Shows everything in a language, without a reload. */
async function speak() {
  const known = state.server?.languages ?? LANGUAGES;
  const wanted = state.settings.language ?? bestLanguage(navigator.languages, known);
  if (!(await loadLanguage(wanted))) return;
  for (const part of [
    relabel, relabelSidebar, relabelSearch, showChatList, showHeading, relabelThread, relabelComposer, relabelMeter,
    showModelButton, relabelFirstRun, showConnection, relabelDialogs,
  ]) part();
}

/** The heading of the open chat, and the window's. */
function showHeading() {
  const chat = state.chats.find((other) => other.id === state.chat.id);
  const title = chat ? titleOf(chat) : "";
  byId("chat-title").textContent = title || (state.models.length > 0 ? t("New chat") : "BELLE Edge");
  byId("chat-menu").hidden = !chat;
  document.title = title ? `${title} – BELLE Edge` : "BELLE Edge";
}

/** Opens what the address names. */
async function follow() {
  const id = /^#chat\/([0-9a-zA-Z-]+)$/.exec(location.hash)?.[1] ?? null;
  closeDrawer();
  try {
    change({ sendError: null });
    if (id === null) {
      startChat();
      composerFor(null);
    } else if (id !== state.chat.id) {
      const chat = await openChat(id);
      if (chat === null) return;
      composerFor(chat.draft ?? null);
    } else {
      stayInChat();
    }
    focusComposer();
  } catch (error) {
    startChat();
    composerFor(null);
    change({ sendError: explained(error) });
  }
  showHeading();
}

function newChat() {
  clearSearch();
  if (location.hash === "" || location.hash === "#") void follow();
  else location.hash = "";
}

/**
 * Opens a chat at a message, on whatever branch that is.
 * @param {string} chat
 * @param {string | null} message
 */
async function goTo(chat, message) {
  closeDrawer();
  if ((await openChat(chat, message)) === null) return null;
  history.pushState(null, "", `#chat/${chat}`);
  showHeading();
  composerFor(null);
  return message ? goToMessage(message) : null;
}

function mount() {
  relabel();
  mountAppearance();
  mountSidebar();
  mountChatList();
  mountThread();
  mountComposer();
  mountModels();
  mountChatSettings();
  mountJobs();
  mountFirstRun();
  mountConnectionBar();
  mountSearch(goTo);
  mountShortcuts({
    search: () => {
      showSidebar();
      focusSearch();
    },
    newChat,
    stop: stopRunning,
    sidebar: toggleSidebar,
  });
  byId("new-chat").addEventListener("click", newChat);
  byId("settings").addEventListener("click", showSettings);
  byId("chat-settings").addEventListener("click", showChatSettings);
  byId("chat-menu").addEventListener("click", () => {
    const chat = state.chats.find((other) => other.id === state.chat.id);
    if (chat) openMenu(byId("chat-menu"), t("More"), choices(chat));
  });
  watch(["chats", "chat", "models"], showHeading);
  watch(["settings"], () => void speak());
  window.addEventListener("hashchange", () => void follow());
}

async function start() {
  takeKeyFromAddress();
  whenKeyIsWanted(askForKey);
  if (!recallLanguage()) await loadLanguage(bestLanguage(navigator.languages, LANGUAGES)).catch(() => {});
  mount();
  void listen(receive, connectionChanged);
  for (;;) {
    try {
      await loadServer();
      break;
    } catch (error) {
      change({ sendError: explained(error) });
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }
  await speak();
  await follow();
  /** @type {HTMLButtonElement} */ (byId("chat-settings")).disabled = false; // it is known now whose they are
  document.body.dataset["ready"] = language();
}

void start();
