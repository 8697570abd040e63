// @ts-check
// Timers, alarms and reminders, to be read, set and edited. Times are words, as they are said to the assistant.

import { get, post, put, reason, remove } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, giveFocus, input, make, makeButton } from "./dom.js";
import { visible } from "./format.js";
import { isShown, keepFresh } from "./tabs.js";
import { zone } from "./zone.js";

/** @typedef {import("./types.js").Due} Due */

const KINDS = { timer: "Timers", alarm: "Alarms", reminder: "Reminders" };
/** @type {Due[]} */
let items = [];
/** The entry that is being edited: nothing is made anew meanwhile. */
let editing = "";
let changed = () => {};

/** @param {string} text */
function say(text) {
  $("#schedule-said").textContent = text;
}

/** @param {Due} item */
function left(item) {
  const seconds = item.left_s ?? (item.ends_at ?? 0) - Date.now() / 1000;
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const clock = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return item.left_s === null ? clock : `${clock}, paused`;
}

/** @param {Due} item */
const title = (item) => visible(item.name || (item.kind === "alarm" ? "Alarm" : item.kind));

/**
 * @param {Due} item
 * @param {() => Promise<{text: string}>} work
 */
async function act(item, work) {
  try {
    say((await work()).text);
  } catch (error) {
    tell("page:notice", reason(error));
  }
  await load();
  const again = document.querySelector(`#schedule [data-entry="${CSS.escape(item.id)}"] button`);
  giveFocus(again instanceof HTMLElement ? again : input("#schedule-when"));
}

const where = () => ({ conversation: conversation(), zone: zone() || undefined });
const path = (/** @type {Due} */ item) => `/api/schedule/${encodeURIComponent(item.id)}`;

/** @param {Due} item */
function row(item) {
  const name = title(item);
  const small = (/** @type {string} */ text, /** @type {() => unknown} */ action) =>
    makeButton(text, action, { class: "button quiet small", label: `${text}: ${name}` });
  const time = make("span", { class: "due-when", text: item.kind === "timer" ? left(item) : visible(item.when) });
  if (item.kind === "timer") time.dataset.timer = item.id;
  const line = make("li");
  const buttons = [small("Edit", () => edit(line, item))];
  if (item.kind === "timer") {
    const paused = item.left_s !== null;
    buttons.push(
      small(paused ? "Go on" : "Pause", () => act(item, () => put(path(item), { paused: !paused, ...where() }))),
    );
  }
  buttons.push(small("Cancel", () => act(item, () => remove(`${path(item)}?conversation=${conversation()}`))));
  line.append(make("span", { class: "due-name", text: name }), time, make("div", { class: "row-actions" }, buttons));
  line.dataset.entry = item.id;
  return line;
}

/**
 * @param {HTMLElement} line
 * @param {Due} item
 */
function edit(line, item) {
  if (editing) return;
  editing = item.id;
  const field = /** @type {HTMLInputElement} */ (make("input", { class: "field" }));
  const name = title(item);
  field.setAttribute("aria-label", item.kind === "timer" ? `How long from now: ${name}` : `When: ${name}`);
  field.placeholder = item.kind === "timer" ? "ten minutes" : "tomorrow at seven";
  field.maxLength = 300;
  const problem = make("p", { class: "field-problem" });
  problem.setAttribute("role", "alert");
  const done = async () => {
    editing = "";
    await load();
    const back = document.querySelector(`#schedule [data-entry="${CSS.escape(item.id)}"] button`);
    if (back instanceof HTMLElement) giveFocus(back);
  };
  const save = async () => {
    try {
      say((await put(path(item), { when: field.value, ...where() })).text);
      await done();
    } catch (error) {
      problem.textContent = reason(error);
      field.focus();
    }
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") void save();
    else if (event.key === "Escape") void done();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const buttons = make("div", { class: "row-actions" }, [
    makeButton("Save", save, { class: "button small primary" }),
    makeButton("Leave it", done, { class: "button small" }),
  ]);
  line.replaceChildren(field, buttons, problem);
  field.focus();
}

function show() {
  if (editing) return;
  const parts = Object.entries(KINDS).map(([kind, heading]) => {
    const rows = items.filter((item) => item.kind === kind).map(row);
    const head = make("h3", { text: heading });
    const none = make("li", { class: "muted", text: "None." });
    const block = make("section", { class: "block" }, [
      head,
      make("ul", { class: "due-items" }, rows.length ? rows : [none]),
    ]);
    head.id = `h-due-${kind}`;
    block.setAttribute("aria-labelledby", head.id);
    return block;
  });
  $("#schedule").replaceChildren(...parts);
}

function tick() {
  if (!isShown("schedule")) return;
  for (const time of document.querySelectorAll("#schedule [data-timer]")) {
    const item = items.find((each) => time instanceof HTMLElement && each.id === time.dataset.timer);
    if (item) time.textContent = left(item);
  }
}

async function load() {
  items = (await get("/api/schedule")).items;
  show();
}

/** @param {SubmitEvent} event */
async function set(event) {
  event.preventDefault();
  const kind = /** @type {HTMLSelectElement} */ ($("#schedule-kind")).value;
  const [what, when] = [input("#schedule-what"), input("#schedule-when")];
  try {
    say((await post("/api/schedule", { kind, what: what.value, when: when.value, ...where() })).text);
    what.value = "";
    when.value = "";
    $("#schedule-problem").textContent = "";
  } catch (error) {
    $("#schedule-problem").textContent = reason(error);
  }
  giveFocus(when, $("#schedule-new"));
  changed();
}

export function start() {
  changed = keepFresh("schedule", load);
  on("page:connected", changed);
  on("schedule", changed);
  $("#schedule-new").addEventListener("submit", (event) => void set(/** @type {SubmitEvent} */ (event)));
  window.setInterval(tick, 1000);
}
