// The stream of everything that happens: read by fetch, so that it can carry the key; begun again when it breaks off.

import { send } from "./api.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;
const SILENCE_MS = 40_000; // the server says something at least every 15 s

/**
 * Listens until the page goes away.
 * @param {(event: any) => void} onEvent
 * @param {(connection: "open" | "lost") => void} onConnection
 */
export async function listen(onEvent, onConnection) {
  let wait = FIRST_WAIT_MS;
  for (;;) {
    try {
      await readOnce(onEvent, () => {
        wait = FIRST_WAIT_MS;
        onConnection("open");
      });
    } catch {
      // Said by the state of the connection.
    }
    onConnection("lost");
    await pause(wait);
    wait = Math.min(wait * 1.7, LONGEST_WAIT_MS);
  }
}

/**
 * @param {(event: any) => void} onEvent
 * @param {() => void} opened
 */
async function readOnce(onEvent, opened) {
  const aborter = new AbortController();
  let timer = window.setTimeout(() => aborter.abort(), SILENCE_MS);
  try {
    const response = await send("GET", "/events", { signal: aborter.signal });
    if (!response.body) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    opened();
    let kept = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = window.setTimeout(() => aborter.abort(), SILENCE_MS);
      kept = dispatch(kept + value, onEvent);
    }
  } finally {
    clearTimeout(timer);
    aborter.abort();
  }
}

/**
 * Hands on the whole events of a text.
 * @param {string} text
 * @param {(event: any) => void} onEvent
 * @returns {string} what is not whole yet
 */
function dispatch(text, onEvent) {
  const parts = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = parts.pop() ?? "";
  for (const part of parts) {
    const data = part
      .split("\n")
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5).trimStart())
      .join("\n");
    if (data) onEvent(JSON.parse(data));
  }
  return rest;
}

/** Sooner when the window is looked at again. @param {number} ms @returns {Promise<void>} */
function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("focus", done);
      window.removeEventListener("online", done);
      resolve();
    };
    const timer = window.setTimeout(done, ms);
    window.addEventListener("focus", done);
    window.addEventListener("online", done);
  });
}
