// @ts-check
// Typed messages. Enter sends, Shift and Enter begins a new line.

import { post } from "./api.js";
import { on, tell } from "./bus.js";
import { showWaiting } from "./conversation.js";
import { conversation } from "./current.js";
import { $, button } from "./dom.js";
import { zone } from "./zone.js";

const field = () => /** @type {HTMLTextAreaElement} */ ($("#words"));

function fit() {
  const area = field();
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, 144)}px`;
  button("#send").disabled = !area.value.trim();
}

/** @param {string} text */
async function say(text) {
  const words = text.trim();
  if (!words) return;
  try {
    const { turn } = await post("/api/messages", {
      conversation: conversation(),
      text: words,
      zone: zone() || undefined,
    });
    showWaiting(turn, words);
  } catch (error) {
    field().value ||= words;
    fit();
    tell("page:notice", `Your message could not be sent: ${error instanceof Error ? error.message : error}`);
  }
}

export function start() {
  const form = /** @type {HTMLFormElement} */ ($("#composer"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = field().value;
    field().value = "";
    fit();
    void say(words);
  });
  field().addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  field().addEventListener("input", fit);
  on("page:say", (event) => void say(event.text ?? ""));
  fit();
}
