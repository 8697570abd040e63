// @ts-check
// The one word that says what is going on, made of the link, the engine, the agent and the microphone.

import { on, tell } from "./bus.js";
import { $ } from "./dom.js";

const facts = { connected: false, everConnected: false, agent: "idle", talking: false, muted: false, engine: true };

/** @type {Record<string, [word: string, hint: string]>} */
const WORDS = {
  connecting: ["Connecting", ""],
  disconnected: ["Disconnected", "trying to reach the server"],
  waking: ["Waking up", "the engine is not ready yet"],
  paused: ["Paused", "it answers again when you go on"],
  speaking: ["Speaking", "talk over it, or press Esc"],
  thinking: ["Thinking", ""],
  muted: ["Muted", "your microphone is off"],
  listening: ["Listening", "speak when you like"],
  idle: ["Ready", "press the button or Space to talk"],
};

/** @returns {string} */
export function current() {
  if (!facts.connected) return facts.everConnected ? "disconnected" : "connecting";
  if (facts.agent === "paused" || facts.agent === "speaking" || facts.agent === "thinking") return facts.agent;
  if (!facts.engine) return "waking";
  if (facts.talking) return facts.muted ? "muted" : "listening";
  return "idle";
}

/** Whether the agent was told to be quiet. */
export function paused() {
  return facts.agent === "paused";
}

let shown = "";

function show() {
  const state = current();
  $("#app").dataset.talking = facts.talking ? "yes" : "no";
  if (state === shown) return;
  shown = state;
  const [word, hint] = WORDS[state] ?? ["", ""];
  $("#app").dataset.state = state;
  $("#state").textContent = word;
  $("#hint").textContent = hint;
  tell("page:state", state);
}

/**
 * @param {Partial<typeof facts>} news
 */
export function update(news) {
  Object.assign(facts, news);
  show();
}

export function start() {
  on("page:connected", () => update({ connected: true, everConnected: true }));
  on("page:disconnected", () => update({ connected: false }));
  on("page:reset", () => update({ agent: "idle" }));
  on("state", (event) => update({ agent: event.state ?? "idle" }));
  on("health", (event) => {
    if (event.component === "engine") update({ engine: event.ok ?? true });
  });
  show();
}
