// A calm line while the server does not answer.

import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { state, watch } from "./state.js";

const PATIENCE_MS = 1200; // a server that comes back at once is not worth a word

let timer = 0;

/** Follows the state of the connection. */
export function mountConnectionBar() {
  watch(["connection"], () => {
    clearTimeout(timer);
    if (state.connection === "lost") timer = window.setTimeout(showConnection, PATIENCE_MS);
    else showConnection();
  });
}

/** Shows the line where it is due. */
export function showConnection() {
  const line = byId("connection");
  const lost = state.connection === "lost";
  line.hidden = !lost;
  line.textContent = lost ? t("BELLE Edge does not answer. What you wrote is kept; the page goes on trying.") : "";
}
