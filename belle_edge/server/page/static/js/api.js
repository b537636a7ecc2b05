// Requests to the page's own interface, and the errors they end with.

import { language, langTag, t } from "./i18n.js";

const BASE = "/page/v1";
const KEY = "belle-key";

/** An answer that says what is wrong, in the page's language. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where no answer came
   * @param {import("./types.js").ErrorBody} body
   */
  constructor(status, body) {
    super(body.message);
    this.status = status;
    this.code = body.code;
    this.details = body.details;
  }
}

/** @type {(() => Promise<string | null>) | null} */
let askForKey = null;

/**
 * Who asks the person for the key of this server, where it wants one.
 * @param {() => Promise<string | null>} ask
 */
export function whenKeyIsWanted(ask) {
  askForKey = ask;
}

/**
 * @param {string} key
 * @param {Storage} place how long: the window's store, or the browser's
 */
export function keepKey(key, place) {
  sessionStorage.removeItem(KEY);
  place.setItem(KEY, key);
}

/** @returns {Record<string, string>} */
function headers() {
  const key = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  return { "Accept-Language": langTag(language()), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

/**
 * The bare response; asks for the key once where that is missing or wrong.
 * @param {string} method
 * @param {string} path below /page/v1
 * @param {{body?: BodyInit, type?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 */
export async function send(method, path, options = {}) {
  const sent = { ...headers(), ...(options.type ? { "Content-Type": options.type } : {}) };
  /** @type {RequestInit} */
  const init = { method, headers: sent, cache: "no-store", credentials: "same-origin" };
  if (options.body !== undefined) init.body = options.body;
  if (options.signal) init.signal = options.signal;
  let response;
  try {
    response = await fetch(BASE + path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "no_server", message: t("The server does not answer. Is BELLE Edge still running?") });
  }
  if (response.status === 401 && askForKey) {
    const key = await askForKey();
    if (key) {
      keepKey(key, localStorage);
      return send(method, path, options);
    }
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

/**
 * A request with and for JSON.
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function request(method, path, body, signal) {
  /** @type {{body?: BodyInit, type?: string, signal?: AbortSignal}} */
  const options = body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" };
  if (signal) options.signal = signal;
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

/**
 * A file for the server to read.
 * @param {string} path
 * @param {Blob} file
 * @returns {Promise<any>}
 */
export async function upload(path, file) {
  return (await send("POST", path, { body: file, type: "application/octet-stream" })).json();
}

/**
 * Saves what the server answers as a file.
 * @param {string} path
 * @param {string} fallbackName where the server names none
 */
export async function download(path, fallbackName) {
  const response = await send("GET", path);
  const given = /filename\*=UTF-8''([^;]+)/i.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = given ? decodeURIComponent(given) : fallbackName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {Response} response */
async function errorOf(response) {
  const fallback = { code: "error", message: t("The server answered with error {status}.", { status: response.status }) };
  try {
    const found = (await response.json()).error;
    return new ApiError(response.status, found?.message ? found : fallback);
  } catch {
    return new ApiError(response.status, fallback);
  }
}

/**
 * What to tell the person about anything that was thrown.
 * @param {unknown} error
 * @returns {string}
 */
export function explained(error) {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return t("Something went wrong in the page: {what}", { what: String(error) });
}
