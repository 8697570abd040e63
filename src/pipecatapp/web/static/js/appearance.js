// @ts-check
// The button for light and dark. js/theme.js applies the choice before the first paint.

import { button, setIcon } from "./dom.js";

function show() {
  const dark = document.documentElement.dataset.theme === "dark";
  const toggle = button("#theme");
  toggle.setAttribute("aria-pressed", String(dark));
  setIcon(toggle, dark ? "sun" : "moon");
}

export function start() {
  button("#theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", dark ? "light" : "dark");
    show();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}
