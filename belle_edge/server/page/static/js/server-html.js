// The one place where the server's HTML enters the page. The server made it safe; the browser's Trusted Types see to it
// that no other place can do the same.

/** @type {{createHTML: (html: string) => any}} */
const policy =
  /** @type {any} */ (window).trustedTypes?.createPolicy("belle-edge", { createHTML: (/** @type {string} */ html) => html }) ??
  { createHTML: (/** @type {string} */ html) => html };

/**
 * A block of an answer as the server rendered it.
 * @param {string} html
 * @returns {HTMLDivElement}
 */
export function blockOf(html) {
  const block = document.createElement("div");
  block.className = "block";
  block.innerHTML = policy.createHTML(html);
  for (const link of block.querySelectorAll("a[href]")) {
    link.setAttribute("rel", "noopener noreferrer nofollow");
    if (!link.getAttribute("href")?.startsWith("#")) link.setAttribute("target", "_blank");
  }
  return block;
}
