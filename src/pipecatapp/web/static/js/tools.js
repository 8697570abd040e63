// @ts-check
// Tool activity: the newest call first, with its exact arguments and its full result.

import { on } from "./bus.js";
import { $, make } from "./dom.js";

/** @typedef {import("./types.js").WireEvent} WireEvent */

const MOST = 40;
const MOST_LINES = 200;
const PICTURE = /^\/api\/pictures\/[0-9a-f]{32}\.png$/;

/** @type {Map<string, HTMLElement>} */
const calls = new Map();

/** @param {WireEvent} event */
function key(event) {
  return `${event.turn}/${event.call_id}`;
}

/** @param {WireEvent} event */
function began(event) {
  const list = $("#tools");
  if (calls.size === 0) list.replaceChildren();
  const result = make("span", { class: "result muted", text: "running" });
  const summary = make("summary", {}, [make("span", { class: "mono", text: event.tool ?? "" }), result]);
  const details = make("details", {}, [summary, make("pre", { text: JSON.stringify(event.arguments ?? {}, null, 2) })]);
  const item = make("li", {}, [details]);
  calls.set(key(event), item);
  list.prepend(item);
  if (calls.size > MOST) {
    const [oldest, element] = /** @type {[string, HTMLElement]} */ (calls.entries().next().value);
    calls.delete(oldest);
    element.remove();
  }
}

/**
 * A line of a long work.
 * @param {WireEvent} event
 */
function went(event) {
  const item = calls.get(key(event));
  const details = item?.querySelector("details");
  if (!item || !details) return;
  let lines = item.querySelector(".progress");
  if (!lines) {
    lines = make("pre", { class: "progress" });
    details.append(lines);
    details.open = true;
  }
  const known = (lines.textContent ?? "").split("\n").filter(Boolean);
  lines.textContent = [...known, event.text ?? ""].slice(-MOST_LINES).join("\n");
  lines.scrollTop = lines.scrollHeight;
}

/** @param {WireEvent} event */
function ended(event) {
  const item = calls.get(key(event));
  const result = item?.querySelector(".result");
  if (!item || !result) return;
  item.classList.toggle("failed", !event.ok);
  result.textContent = `${event.ok ? "done" : "failed"}, ${(event.seconds ?? 0).toFixed(2)} s`;
  const told = event.detail || event.text || "";
  item
    .querySelector("details")
    ?.append(PICTURE.test(told) ? picture(told, event.text ?? "") : make("pre", { text: told }));
}

/**
 * A picture that a tool took. It is asked for when its details are opened.
 * @param {string} path
 * @param {string} words
 */
function picture(path, words) {
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = words;
  image.src = path;
  image.className = "picture";
  return image;
}

function clear() {
  calls.clear();
  $("#tools").replaceChildren(make("li", { class: "muted", text: "No tool was used in this conversation." }));
}

export function start() {
  on("tool_started", began);
  on("tool_progress", went);
  on("tool_finished", ended);
  on("page:reset", clear);
  on("cleared", clear);
}
