// What text fields have in common: when Enter sends, and how high they are.

const COMPOSING = 229; // the key code of a key that an input method has taken; Safari ends the composition before it

/**
 * Whether this key sends: Enter alone, and never one that belongs to an input method.
 * @param {KeyboardEvent} event
 */
export function sendsNow(event) {
  if (event.key !== "Enter" || event.shiftKey || event.altKey) return false;
  return !event.isComposing && event.keyCode !== COMPOSING;
}

/**
 * As high as its text; the style sheet has the limit.
 * @param {HTMLTextAreaElement} area
 */
export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}
