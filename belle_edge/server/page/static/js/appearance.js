// The theme: the system's, or the one that was chosen.

import { state, watch } from "./state.js";

const KEPT = "belle.theme";

/** Follows the setting. */
export function mountAppearance() {
  watch(["settings"], applyTheme);
}

function applyTheme() {
  const { theme } = state.settings;
  const fixed = theme === "light" || theme === "dark" ? theme : null;
  if (fixed) {
    document.documentElement.dataset["theme"] = fixed;
    localStorage.setItem(KEPT, fixed);
  } else {
    delete document.documentElement.dataset["theme"];
    localStorage.removeItem(KEPT);
  }
}
