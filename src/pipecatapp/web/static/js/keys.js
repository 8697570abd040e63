// @ts-check
// The keyboard: Space talks, M mutes, Esc interrupts (or closes the drawer), / goes to the message field, A to the
// action that waits for an answer. No key gives that answer.

import { goToWaiting } from "./approvals.js";
import { $ } from "./dom.js";
import { closeDrawer, drawerOpen } from "./drawer.js";
import { current } from "./state.js";
import { interrupt, toggleMute, toggleTalk } from "./talk.js";

/** @param {EventTarget | null} target */
function isField(target) {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** @param {EventTarget | null} target */
function hasOwnSpace(target) {
  return target instanceof HTMLElement && target.closest("button, a, summary, select") !== null;
}

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (drawerOpen()) closeDrawer();
      else if (current() === "speaking" || current() === "thinking") void interrupt();
      return;
    }
    if (isField(event.target) || event.repeat) return;
    if (event.key === " " && !hasOwnSpace(event.target)) toggleTalk();
    else if (event.key === "m") toggleMute();
    else if (event.key === "a") goToWaiting();
    else if (event.key === "/") $("#words").focus();
    else return;
    event.preventDefault();
  });
}
