// @ts-check
// What a turn cost: seconds by step, tokens by whether the engine had them in its cache.

import { on } from "./bus.js";
import { $, make } from "./dom.js";

/** @typedef {import("./types.js").WireEvent} WireEvent */

/** @type {Array<["stt_s" | "first_token_s" | "first_audio_s", string, string]>} */
const STEPS = [
  ["stt_s", "stt", "Understanding speech"],
  ["first_token_s", "first_token", "First word of the answer"],
  ["first_audio_s", "first_audio", "First sound of it"],
];

/** @param {number} seconds */
function time(seconds) {
  return seconds < 10 ? `${seconds.toFixed(2)} s` : `${seconds.toFixed(1)} s`;
}

/**
 * The line under an answer.
 * @param {WireEvent} event
 */
export function costLine(event) {
  const parts = [];
  if (typeof event.total_s === "number")
    parts.push(`${time(event.total_s)} to the first ${typeof event.first_audio_s === "number" ? "sound" : "word"}`);
  if (event.evaluated_tokens || event.cached_tokens)
    parts.push(`${event.evaluated_tokens ?? 0} tokens read, ${event.cached_tokens ?? 0} from cache`);
  return parts.join(" · ");
}

/** @param {WireEvent} event */
function show(event) {
  const figures = make("dl", { class: "figures" });
  const share = make("div", { class: "share" });
  share.setAttribute("aria-hidden", "true");
  for (const [key, name, label] of STEPS) {
    const seconds = event[key];
    if (typeof seconds !== "number") continue;
    const part = make("span", { class: name });
    part.style.flexGrow = String(1000 * Math.max(seconds, 0.001));
    share.append(part);
    figures.append(make("dt", { text: label }), make("dd", { text: time(seconds) }));
  }
  const tokens = {
    "Tokens evaluated": event.evaluated_tokens,
    "Tokens from cache": event.cached_tokens,
    "Tokens written": event.generated_tokens,
  };
  for (const [label, count] of Object.entries(tokens)) {
    figures.append(make("dt", { text: label }), make("dd", { text: String(count ?? 0) }));
  }
  const parts = [figures];
  if (share.children.length) parts.unshift(share);
  if (typeof event.total_s === "number") {
    const what =
      typeof event.first_audio_s === "number" ? "from your last word to the first sound" : "to the first word";
    parts.unshift(
      make("p", { class: "total" }, [
        make("strong", { text: time(event.total_s) }),
        make("span", { class: "muted", text: what }),
      ]),
    );
  }
  $("#cost").replaceChildren(...parts);
}

function clear() {
  $("#cost").replaceChildren(
    make("p", { class: "muted", text: "What an answer costs, in time and tokens, appears here." }),
  );
}

export function start() {
  on("turn_finished", show);
  on("page:reset", clear);
  on("cleared", clear);
}
