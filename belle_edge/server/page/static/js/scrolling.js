// Where the reader is: the view follows the text only at its end, and nothing moves under the eye.

const NEAR_PX = 60;

/** Keeps the place of one scrolling element. */
export class ScrollKeeper {
  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} column what grows in it
   * @param {HTMLElement} toEnd the button that leads back
   */
  constructor(scroller, column, toEnd) {
    this.scroller = scroller;
    this.button = toEnd;
    this.following = true;
    this.top = 0;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A reader who turns upwards is believed at once, whatever grows meanwhile.
    scroller.addEventListener("wheel", (event) => event.deltaY < 0 && this.#release(), { passive: true });
    new ResizeObserver(() => this.#grown()).observe(column);
    new ResizeObserver(() => this.#grown()).observe(scroller);
  }

  toEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#showButton();
  }

  /** @param {HTMLElement} element */
  toElement(element) {
    this.following = false;
    element.scrollIntoView({ block: "start" });
    // What was only estimated above it gets its height now.
    requestAnimationFrame(() => {
      element.scrollIntoView({ block: "start" });
      requestAnimationFrame(() => element.scrollIntoView({ block: "start" }));
    });
  }

  /** The first message in sight and where it stands. */
  place() {
    if (this.following) return null;
    const edge = this.scroller.getBoundingClientRect().top;
    for (const element of this.scroller.querySelectorAll("[data-message]")) {
      const box = element.getBoundingClientRect();
      if (box.bottom > edge) return { element, top: box.top };
    }
    return null;
  }

  /** @param {{element: Element, top: number}} place */
  restore(place) {
    if (!place.element.isConnected) return;
    const moved = place.element.getBoundingClientRect().top - place.top;
    if (Math.abs(moved) >= 1) this.scroller.scrollTop += moved;
  }

  #scrolled() {
    const { scrollTop } = this.scroller;
    if (this.#distance() < NEAR_PX) this.following = true;
    else if (scrollTop < this.top - 1) this.following = false;
    this.top = scrollTop;
    this.#showButton();
  }

  #release() {
    if (this.scroller.scrollHeight > this.scroller.clientHeight) this.following = false;
  }

  #grown() {
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#showButton();
  }

  #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #showButton() {
    this.button.hidden = this.#distance() < NEAR_PX * 4;
  }
}
