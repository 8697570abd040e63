// @ts-check
// Who sleeps on this machine, since when and why, and what that saves; sleep, wake and pin by a button.

import { get, post, reason } from "./api.js";
import { on, tell } from "./bus.js";
import { $, make, makeButton } from "./dom.js";
import { visible, when } from "./format.js";
import { isShown, offer } from "./tabs.js";

/** @typedef {import("./types.js").Sleeper} Sleeper */
/** @typedef {import("./types.js").PowerDay} PowerDay */

const LOOKS_EVERY_MS = 3000;
const LOOKS = { awake: "healthy", pinned: "healthy", failed: "unwell", asleep: "" };
const DOES = { sleep: "Sleep", wake: "Wake", pin: "Pin awake", unpin: "Unpin" };

/** What was shown last: rows are made anew only when something changed, or a person would lose their place. */
let shown = "";

/** @param {string} service */
const nameOf = (service) => visible(service.replace(/^prima-api-/, ""));

/**
 * @param {number} value
 * @param {string} unit
 */
const about = (value, unit) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;

/** @param {number} seconds */
function span(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** @param {PowerDay} day */
function cost(day) {
  const by = day.estimated ? "estimated" : "processor measured";
  const saved = `saved ${about(day.saved_wh, "Wh")} (estimated), ${about(day.saved_ram_gb_h, "GB·h")} of memory`;
  return `Today awake ${about(day.awake_h, "h")}: ${about(day.wh, "Wh")} (${by}), ${span(day.cpu_s)} of computing. Asleep ${about(day.asleep_h, "h")}: ${saved}.`;
}

/** @param {Sleeper} sleeper */
function patience(sleeper) {
  const sleeps = sleeper.idle_s === null ? "Never sleeps." : `Sleeps after ${span(sleeper.idle_s)} without use.`;
  return sleeper.wake_estimate_s === null ? sleeps : `${sleeps} Wakes in about ${span(sleeper.wake_estimate_s)}.`;
}

/**
 * @param {Sleeper} sleeper
 * @returns {(keyof typeof DOES)[]}
 */
function choices({ state, pinned }) {
  if (state === "away") return pinned ? ["unpin"] : [];
  if (pinned) return ["unpin"];
  return state === "awake" ? ["sleep", "pin"] : ["wake", "pin"];
}

/**
 * @param {Sleeper} sleeper
 * @param {keyof typeof DOES} wish
 */
async function steer(sleeper, wish) {
  const name = nameOf(sleeper.service);
  try {
    const { service } = await post("/api/power", { service: sleeper.service, do: wish });
    $("#power-said").textContent = `${name}: ${wish} was asked for; it is ${visible(service.state)} now.`;
  } catch (error) {
    tell("page:notice", reason(error));
  }
  shown = "";
  await load();
  const again = document.querySelector(`#power [data-service="${CSS.escape(sleeper.service)}"] button`);
  if (again instanceof HTMLElement) again.focus();
}

/** @param {Sleeper} sleeper */
function row(sleeper) {
  const name = nameOf(sleeper.service);
  const looks = LOOKS[/** @type {keyof typeof LOOKS} */ (sleeper.state)] ?? "busy";
  const buttons = choices(sleeper).map((wish) =>
    makeButton(DOES[wish], () => steer(sleeper, wish), {
      class: "button quiet small",
      label: `${DOES[wish]}: ${name}`,
    }),
  );
  const head = make("p", {}, [
    make("strong", { text: name }),
    document.createTextNode(" "),
    make("span", { class: `state ${looks}`, text: visible(sleeper.state) }),
    make("span", { class: "muted", text: ` since ${when(sleeper.since)}: ${visible(sleeper.why)}` }),
  ]);
  const line = make("li", { class: "sleeper" }, [head, make("p", { class: "muted", text: patience(sleeper) })]);
  const today = Object.keys(sleeper.days ?? {})
    .sort()
    .at(-1);
  if (today) line.append(make("p", { class: "muted", text: cost(sleeper.days[today]) }));
  line.append(make("div", { class: "row-actions" }, buttons));
  line.dataset.service = sleeper.service;
  return line;
}

/** @param {{services: Sleeper[], broken: Record<string, string>, measured_by: string}} told */
function show({ services, broken, measured_by }) {
  const now = JSON.stringify([services.map(({ idle_for_s, slept_s, ...rest }) => rest), broken]);
  offer("power", services.length > 0 || Object.keys(broken).length > 0);
  $("#power-measured").textContent = measured_by ? visible(`Idleness is measured by ${measured_by}.`) : "";
  if (now === shown) return;
  shown = now;
  const held = document.activeElement?.getAttribute("aria-label");
  const wrong = Object.entries(broken).map(([name, why]) =>
    make("li", { class: "problem", text: visible(`${name}: ${why}`) }),
  );
  $("#power").replaceChildren(...services.map(row), ...wrong);
  const again = held ? document.querySelector(`#power [aria-label="${CSS.escape(held)}"]`) : null;
  if (again instanceof HTMLElement) again.focus();
}

async function load() {
  show(await get("/api/power"));
}

function look() {
  load().catch((error) => tell("page:notice", reason(error)));
}

export function start() {
  on("page:connected", look);
  on("page:shown", () => {
    if (isShown("power")) look();
  });
  setInterval(() => {
    if (isShown("power")) look();
  }, LOOKS_EVERY_MS);
}
