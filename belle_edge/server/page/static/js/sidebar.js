// The list at the left: a column on wide windows, a drawer on narrow ones.

import { byId, fill } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

const NARROW = matchMedia("(max-width: 900px)");
const KEPT = "belle.sidebar";

/** Builds the buttons once. */
export function mountSidebar() {
  document.body.classList.toggle("no-sidebar", localStorage.getItem(KEPT) === "hidden");
  for (const id of ["open-sidebar", "close-sidebar"]) {
    fill(byId(id), icon("panel"));
    byId(id).addEventListener("click", toggleSidebar);
  }
  byId("drawer-veil").addEventListener("click", closeDrawer);
  byId("sidebar").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawerIsOpen()) {
      closeDrawer();
      byId("open-sidebar").focus();
      event.stopPropagation();
    }
  });
  NARROW.addEventListener("change", closeDrawer);
  relabelSidebar();
  settle();
}

/** The labels, in the page's language. */
export function relabelSidebar() {
  byId("sidebar").setAttribute("aria-label", t("Chats"));
  for (const [id, label] of /** @type {[string, string][]} */ ([
    ["open-sidebar", t("Show the list of chats")],
    ["close-sidebar", t("Hide the list of chats")],
  ])) {
    byId(id).setAttribute("aria-label", label);
    byId(id).title = label;
  }
}

function drawerIsOpen() {
  return document.body.classList.contains("drawer");
}

/** Shows or hides it, as the window's width has it. */
export function toggleSidebar() {
  if (NARROW.matches) document.body.classList.toggle("drawer");
  else {
    const hidden = document.body.classList.toggle("no-sidebar");
    localStorage.setItem(KEPT, hidden ? "hidden" : "shown");
  }
  settle();
  byId(sidebarIsShown() ? "close-sidebar" : "open-sidebar").focus();
}

/** Makes it visible, as for a search. */
export function showSidebar() {
  if (!sidebarIsShown()) toggleSidebar();
}

/** The drawer goes when something was chosen. */
export function closeDrawer() {
  document.body.classList.remove("drawer");
  settle();
}

function sidebarIsShown() {
  return NARROW.matches ? drawerIsOpen() : !document.body.classList.contains("no-sidebar");
}

/** What is out of sight is out of reach of the keyboard too. */
function settle() {
  const shown = sidebarIsShown();
  byId("sidebar").inert = !shown;
  byId("open-sidebar").hidden = shown && !NARROW.matches;
  byId("open-sidebar").setAttribute("aria-expanded", String(shown));
  byId("main").inert = NARROW.matches && shown;
}
