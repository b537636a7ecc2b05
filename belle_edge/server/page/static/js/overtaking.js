// Answers may come in another order than their questions. The newest question decides what is shown.

/**
 * `const ask = newestOnly()` stands for one place on the page. Each question calls `ask()` before it is sent; what that
 * returns says later whether the question is still the newest one.
 * @returns {() => () => boolean}
 */
export function newestOnly() {
  let asked = 0;
  return () => {
    asked += 1;
    const mine = asked;
    return () => mine === asked;
  };
}
