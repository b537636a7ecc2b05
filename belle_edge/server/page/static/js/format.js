// Numbers, sizes and times as the page's language writes them.

import { language, langTag, t } from "./i18n.js";

/**
 * @param {number} value
 * @param {number} [digits] after the point, at most
 */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(langTag(language()), { maximumFractionDigits: digits }).format(value);
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes >= 1e9) return `${number(bytes / 1e9, 1)} GB`;
  if (bytes >= 1e6) return `${number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;
  if (bytes >= 1e3) return `${number(bytes / 1e3)} kB`;
  return `${number(bytes)} B`;
}

/** @param {number} n */
export function tokens(n) {
  return n === 1 ? t("1 token") : t("{n} tokens", { n: number(n) });
}

/** @param {number} perSecond */
export function speed(perSecond) {
  return t("{n} tokens/s", { n: number(perSecond, perSecond < 100 ? 1 : 0) });
}

/** @param {number} parts of 1 */
export function percent(parts) {
  return new Intl.NumberFormat(langTag(language()), { style: "percent" }).format(parts);
}

/**
 * A duration in words for people: "8 s", "3 min 20 s".
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 10) return t("{n} s", { n: number(seconds, 1) });
  const whole = Math.round(seconds);
  if (whole < 60) return t("{n} s", { n: whole });
  if (whole < 3600) return t("{m} min {s} s", { m: Math.floor(whole / 60), s: whole % 60 });
  return t("{h} h {m} min", { h: Math.floor(whole / 3600), m: Math.floor((whole % 3600) / 60) });
}

/**
 * What is left, or nothing where that is not known.
 * @param {number | null | undefined} seconds
 */
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return t("{time} left", { time: duration(Math.max(1, Math.round(seconds))) });
}

/** @param {number} parameters */
export function parameterCount(parameters) {
  const format = new Intl.NumberFormat(langTag(language()), { notation: "compact", maximumSignificantDigits: 3 });
  return format.format(parameters);
}

/** @param {number} time seconds since 1970 */
export function dateAndTime(time) {
  const format = new Intl.DateTimeFormat(langTag(language()), { dateStyle: "medium", timeStyle: "short" });
  return format.format(new Date(time * 1000));
}

/**
 * The heading that a chat of this time stands under.
 * @param {number} time seconds since 1970
 * @param {Date} [now]
 */
export function dayGroup(time, now = new Date()) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
  if (time >= midnight) return t("Today");
  if (time >= midnight - 86400) return t("Yesterday");
  if (time >= midnight - 6 * 86400) return t("Last 7 days");
  return new Intl.DateTimeFormat(langTag(language()), { year: "numeric", month: "long" }).format(new Date(time * 1000));
}
