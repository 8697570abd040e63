// @ts-check
// The program's log, with a filter by level and by words.

import { on } from "./bus.js";
import { $, make } from "./dom.js";

/** @typedef {import("./types.js").WireEvent} WireEvent */

const MOST = 500;
const LEVELS = ["debug", "info", "warning", "error", "critical"];

/** @type {Array<{event: WireEvent, item: HTMLElement}>} */
let lines = [];

const words = () => /** @type {HTMLInputElement} */ ($("#log-text")).value.trim().toLowerCase();
const lowest = () => LEVELS.indexOf(/** @type {HTMLSelectElement} */ ($("#log-level")).value);

/** @param {WireEvent} event */
function fits(event) {
  if (LEVELS.indexOf(event.level ?? "info") < lowest()) return false;
  const wanted = words();
  return !wanted || `${event.logger} ${event.message}`.toLowerCase().includes(wanted);
}

/** @param {WireEvent} event */
function add(event) {
  const list = $("#log");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  const when = new Date((event.at ?? 0) * 1000).toLocaleTimeString([], { hour12: false });
  const item = make("li", { class: event.level ?? "" }, [
    make("time", { text: `${when} ` }),
    make("span", { text: `${(event.level ?? "").padEnd(7)} ${event.message ?? ""}` }),
  ]);
  item.title = event.logger ?? "";
  item.hidden = !fits(event);
  list.append(item);
  lines.push({ event, item });
  if (lines.length > MOST) lines.shift()?.item.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function filter() {
  for (const { event, item } of lines) item.hidden = !fits(event);
}

export function start() {
  on("hello", () => {
    lines = [];
    $("#log").replaceChildren();
  });
  on("log", add);
  on("page:shown", (event) => {
    if (event.text === "log") $("#log").scrollTop = $("#log").scrollHeight;
  });
  $("#log-text").addEventListener("input", filter);
  $("#log-level").addEventListener("change", filter);
}
