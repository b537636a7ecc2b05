// Runs before the first paint: the theme of the last visit, so that nothing flashes. No module, for those come later.

(() => {
  const theme = localStorage.getItem("belle.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
})();
