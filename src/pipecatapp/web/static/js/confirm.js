// @ts-check
// Asks once more, by name, before something that cannot be taken back. Escape and a click beside it mean no.

import { $, button } from "./dom.js";

/** @type {(yes: boolean) => void} */
let answer = () => {};

const dialog = () => /** @type {HTMLDialogElement} */ ($("#confirm"));

/**
 * @param {{question: string, text?: string, yes: string, call?: Node[], danger?: boolean}} what
 * @returns {Promise<boolean>}
 */
export function confirm({ question, text = "", yes, call = [], danger = false }) {
  answer(false);
  $("#confirm-question").textContent = question;
  $("#confirm-text").textContent = text;
  $("#confirm-text").hidden = !text;
  $("#confirm-call").replaceChildren(...call);
  $("#confirm-call").hidden = call.length === 0;
  button("#confirm-yes").textContent = yes;
  button("#confirm-yes").classList.toggle("danger", danger);
  dialog().showModal();
  button("#confirm-no").focus();
  return new Promise((resolve) => {
    answer = resolve;
  });
}

/** Close it with no, where it is open. */
export function withdraw() {
  dialog().close("no");
}

export function start() {
  button("#confirm-yes").addEventListener("click", () => dialog().close("yes"));
  button("#confirm-no").addEventListener("click", () => dialog().close("no"));
  dialog().addEventListener("click", (event) => {
    if (event.target === dialog()) dialog().close("no");
  });
  dialog().addEventListener("cancel", () => {
    dialog().returnValue = "no";
  });
  dialog().addEventListener("close", () => {
    answer(dialog().returnValue === "yes");
    answer = () => {};
  });
}
