// @ts-check
// How each component is, and the banner while the engine wakes up.

import { on } from "./bus.js";
import { $, make } from "./dom.js";

/** @typedef {import("./types.js").WireEvent} WireEvent */

/** @type {Map<string, WireEvent>} */
const known = new Map();

/** @type {Record<string, string>} */
const NAMES = {
  engine: "Language engine",
  models: "Models",
  stt: "Speech recognition",
  tts: "Speech synthesis",
  disk: "Disk",
  memory: "Memory",
};

/** @param {WireEvent} event */
function row(event) {
  const name = event.component ?? "";
  const gettingReady = !event.ok && typeof event.progress === "number";
  const word = event.ok ? "ready" : gettingReady ? "getting ready" : "not ready";
  const item = make("li", { class: event.ok ? "" : gettingReady ? "busy" : "unwell" }, [
    make("span", { class: "lamp" }),
    make("span", { text: NAMES[name] ?? name }),
    make("span", { class: "word", text: word }),
  ]);
  if (event.reason) item.append(make("span", { class: "reason", text: event.reason }));
  if (gettingReady) item.append(bar(event.progress ?? 0, NAMES[name] ?? name));
  return item;
}

/**
 * @param {number} value
 * @param {string} label
 */
function bar(value, label) {
  const progress = document.createElement("progress");
  progress.max = 1;
  progress.value = value;
  progress.setAttribute("aria-label", label);
  return progress;
}

function show() {
  $("#components").replaceChildren(...[...known.values()].map(row));
  const unwell = [...known.values()].filter((event) => !event.ok);
  const dot = $("#health-dot");
  dot.hidden = unwell.length === 0;
  $("#panel-toggle").setAttribute("aria-label", unwell.length ? "Details: a component is not ready" : "Details");
  const engine = known.get("engine");
  $("#banner-wake").hidden = !engine || Boolean(engine.ok);
  if (!engine || engine.ok) return;
  $("#banner-wake-text").textContent = engine.reason || "The language engine is starting.";
  const progress = /** @type {HTMLProgressElement} */ ($("#banner-wake-progress"));
  if (typeof engine.progress === "number") progress.value = engine.progress;
  else progress.removeAttribute("value");
}

export function start() {
  on("health", (event) => {
    known.set(event.component ?? "", event);
    show();
  });
}
