// The page's language: English texts are the keys, the server has the translations.

import { request } from "./api.js";
import { newestOnly } from "./overtaking.js";

const KEPT = "belle.catalogue";
const FALLBACK = "en";

/** @type {Record<string, string>} */
let catalogue = {};
let current = FALLBACK;
const ask = newestOnly();

/**
 * The text in the page's language, with its {placeholders} filled in.
 * @param {string} english
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(english, values) {
  const text = catalogue[english] || english;
  if (!values) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The language that is shown: "zh", "en" or "es". */
export function language() {
  return current;
}

/**
 * The value of `lang` for a language, so that the right glyphs are chosen.
 * @param {string | null | undefined} code
 */
export function langTag(code) {
  return code === "zh" ? "zh-CN" : code || "";
}

/**
 * The first of the person's languages that the page has.
 * @param {readonly string[]} wanted as in navigator.languages
 * @param {readonly string[]} known
 */
export function bestLanguage(wanted, known) {
  const found = wanted.map((tag) => tag.toLowerCase().split("-")[0] ?? "").find((tag) => known.includes(tag));
  return found ?? FALLBACK;
}

/**
 * Shows what the last visit used, until the server answers.
 * @returns {boolean} whether there was one
 */
export function recallLanguage() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    if (kept) install(kept.language, kept.catalogue);
    return kept !== null;
  } catch {
    localStorage.removeItem(KEPT);
    return false;
  }
}

/**
 * Loads a language. What is shown is made anew by whoever calls.
 * @param {string} code
 * @returns {Promise<boolean>} whether anything changed
 */
export async function loadLanguage(code) {
  const before = JSON.stringify([current, catalogue]);
  const isNewest = ask();
  /** @type {Record<string, string>} */
  const loaded = await request("GET", `/catalogue/${code}`);
  if (!isNewest()) return false;
  install(code, loaded);
  try {
    localStorage.setItem(KEPT, JSON.stringify({ language: code, catalogue: loaded }));
  } catch {
    // A full store costs the next start a moment, nothing else.
  }
  return before !== JSON.stringify([code, loaded]);
}

/**
 * @param {string} code
 * @param {Record<string, string>} texts
 */
function install(code, texts) {
  current = code;
  catalogue = texts;
  document.documentElement.lang = langTag(code);
}
