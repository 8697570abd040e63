// @ts-check
// The conversations of before, to go back to.

import { get } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, make } from "./dom.js";
import { when } from "./format.js";

async function show() {
  const { conversations } = await get("/api/conversations");
  if (!conversations.length) return;
  const items = conversations.map((/** @type {{id: string, title: string, updated_at: number}} */ entry) => {
    const open = make("button", {}, [
      make("span", { class: "title", text: entry.title }),
      make("span", { class: "when", text: when(entry.updated_at) }),
    ]);
    open.setAttribute("type", "button");
    if (entry.id === conversation()) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => tell("page:open", entry.id));
    return make("li", {}, [open]);
  });
  $("#recent").replaceChildren(...items);
}

export function start() {
  /** @type {number | undefined} */
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => show().catch((error) => tell("page:notice", String(error.message))), 400);
  };
  on("replayed", soon);
  on("assistant", soon);
}
