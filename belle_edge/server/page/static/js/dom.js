// Elements from data. Text always goes in as text: nothing here reads HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with attributes and children. `on…` names take functions, `class` and `data-…` are attributes; true is an
 * empty attribute, and false, null and undefined leave it out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") /** @type {any} */ (element).value = value;
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

/**
 * @param {Element} parent
 * @param {(Child | Child[])[]} children
 */
export function append(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === "number" ? String(child) : child);
  }
}

/**
 * Other children in place of those that are there.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * The element with this id. It is in index.html.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing`);
  return element;
}

let lastId = 0;

/** An id that no other element has, for labels. */
export function freshId() {
  lastId += 1;
  return `id-${lastId}`;
}

/**
 * Calls at most once in so many milliseconds, with the last arguments.
 * @template {any[]} A
 * @param {number} ms
 * @param {(...values: A) => void} call
 * @returns {((...values: A) => void) & {now: () => void, cancel: () => void}}
 */
export function debounced(ms, call) {
  let timer = 0;
  /** @type {A | null} */
  let pending = null;
  const now = () => {
    clearTimeout(timer);
    const values = pending;
    pending = null;
    if (values) call(...values);
  };
  const later = (/** @type {A} */ ...values) => {
    pending = values;
    clearTimeout(timer);
    timer = window.setTimeout(now, ms);
  };
  const cancel = () => {
    clearTimeout(timer);
    pending = null;
  };
  return Object.assign(later, { now, cancel });
}
