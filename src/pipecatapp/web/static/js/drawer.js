// @ts-check
// The details: beside the conversation where there is room, a drawer over it where there is not.

import { tell } from "./bus.js";
import { $, button } from "./dom.js";

const wide = window.matchMedia("(min-width: 60rem)");

/** Whether the drawer covers the conversation now. */
export function drawerOpen() {
  return !wide.matches && $("#app").dataset.panel === "open";
}

/**
 * @param {boolean} open
 * @param {boolean} [remember]
 */
function set(open, remember = true) {
  $("#app").dataset.panel = open ? "open" : "closed";
  button("#panel-toggle").setAttribute("aria-expanded", String(open));
  $("#panel").inert = !open;
  const covering = drawerOpen();
  $("#veil").hidden = !covering;
  $("#main").inert = covering;
  tell("page:shown");
  if (remember && wide.matches) localStorage.setItem("panel", open ? "open" : "closed");
}

/** Close it where it covers the conversation, and give the focus back. */
export function closeDrawer() {
  if (!drawerOpen()) return;
  set(false);
  button("#panel-toggle").focus();
}

export function start() {
  const initial = () => set(wide.matches && localStorage.getItem("panel") !== "closed", false);
  wide.addEventListener("change", initial);
  initial();
  button("#panel-toggle").addEventListener("click", () => {
    set($("#app").dataset.panel !== "open");
    if (drawerOpen()) button("#panel-close").focus();
  });
  button("#panel-close").addEventListener("click", closeDrawer);
  $("#veil").addEventListener("click", closeDrawer);
}
