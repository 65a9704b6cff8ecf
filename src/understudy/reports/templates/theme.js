"use strict";
(() => {
  /* Theme: system, light or dark; remembered where the browser lets a file remember. */
  const themes = ["system", "light", "dark"];
  const themeButton = document.querySelector("#theme");
  const recall = () => { try { return localStorage.getItem("understudy-theme"); } catch { return null; } };
  const remember = (name) => { try { localStorage.setItem("understudy-theme", name); } catch { /* private window */ } };
  const setTheme = (name) => {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    themeButton.textContent = `Theme: ${name}`;
  };
  let theme = themes.includes(recall()) ? recall() : "system";
  setTheme(theme);
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
    remember(theme);
  });
})();
