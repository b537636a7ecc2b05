// No model yet: the page says what to do about that.

import { addModelContent } from "./add-model.js";
import { byId, fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { state, watch } from "./state.js";

/** Shows the first run where there is no model, and goes when there is one. */
export function mountFirstRun() {
  watch(["models", "server"], showFirstRun);
  showFirstRun();
}

/** In another language it is built anew. */
export function relabelFirstRun() {
  byId("first-run").replaceChildren();
  showFirstRun();
}

function showFirstRun() {
  const place = byId("first-run");
  const needed = state.server !== null && state.models.length === 0;
  place.hidden = !needed;
  document.body.classList.toggle("no-model", needed);
  if (!needed) place.replaceChildren();
  else if (place.childElementCount === 0) {
    fill(
      place,
      h("h2", {}, t("Welcome to BELLE Edge")),
      h("p", { class: "lead" }, t("Chats stay on this computer. First it needs a model.")),
      addModelContent(),
    );
  }
}
