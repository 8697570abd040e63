// @ts-check
// The tabs of the details: which one shows, and who must be fresh because of it.

import { reason } from "./api.js";
import { on, tell } from "./bus.js";
import { $ } from "./dom.js";

const KEY = "details";

/** @returns {HTMLElement[]} */
function tabs() {
  return [...document.querySelectorAll("#tabs [role=tab]")].filter((tab) => tab instanceof HTMLElement);
}

/** @param {HTMLElement} tab */
const nameOf = (tab) => tab.id.replace("tab-", "");

/**
 * Whether a person can see this part of the details now.
 * @param {string} name
 */
export function isShown(name) {
  return document.visibilityState === "visible" && $("#app").dataset.panel === "open" && !$(`#details-${name}`).hidden;
}

/** @param {string} name */
function select(name) {
  for (const tab of tabs()) {
    const chosen = nameOf(tab) === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(`#details-${nameOf(tab)}`).hidden = !chosen;
  }
  tell("page:shown", name);
}

/**
 * Offer a tab, or take it away.
 * @param {string} name
 * @param {boolean} there
 */
export function offer(name, there) {
  const tab = $(`#tab-${name}`);
  if (tab.hidden !== there) return;
  tab.hidden = !there;
  const wanted = localStorage.getItem(KEY);
  if (there && wanted === name) select(name);
  else if (!there && tab.getAttribute("aria-selected") === "true") select("overview");
}

/**
 * Calls `load` when the part is in sight and what it shows may be out of date. Returns how to say that it is.
 * @param {string} name
 * @param {() => Promise<void>} load
 * @returns {() => void}
 */
export function keepFresh(name, load) {
  let stale = true;
  const look = () => {
    if (!stale || !isShown(name)) return;
    stale = false;
    load().catch((error) => {
      stale = true;
      tell("page:notice", reason(error));
    });
  };
  on("page:shown", look);
  return () => {
    stale = true;
    look();
  };
}

/** @param {KeyboardEvent} event */
function move(event) {
  const there = tabs().filter((tab) => !tab.hidden);
  const at = there.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: there.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const tab = /** @type {HTMLElement} */ (there.at(to % there.length));
  choose(tab);
  tab.focus();
}

/** @param {HTMLElement} tab */
function choose(tab) {
  localStorage.setItem(KEY, nameOf(tab));
  select(nameOf(tab));
}

export function start() {
  for (const tab of tabs()) tab.addEventListener("click", () => choose(tab));
  $("#tabs").addEventListener("keydown", move);
  document.addEventListener("visibilitychange", () => tell("page:shown"));
  const wanted = tabs().find((tab) => !tab.hidden && nameOf(tab) === localStorage.getItem(KEY));
  select(wanted ? nameOf(wanted) : "overview");
}
