// @ts-check
// Memory as files: import of JSON Lines, and named states to go back to.

import { get, post, reason, remove, send } from "./api.js";
import { on } from "./bus.js";
import { confirm } from "./confirm.js";
import { $, button, input, make, makeButton } from "./dom.js";
import { counted, exactly, size, visible, when } from "./format.js";
import { keepFresh } from "./tabs.js";

/** @typedef {{name: string, saved_at: number, facts: number, bytes: number}} State */

let changed = () => {};

/** @param {string} text */
function say(text) {
  $("#memory-state-result").textContent = text;
}

async function importFile() {
  const field = input("#memory-import");
  const file = field.files?.[0];
  if (!file) return;
  $("#import-refused").replaceChildren();
  try {
    const answer = await send("/api/memory/import", await file.text(), "application/x-ndjson");
    const refused = /** @type {Array<[number, string]>} */ (answer.refused);
    const words = [`${file.name}: ${counted(answer.added, "fact")} added, ${answer.merged} known already`];
    if (refused.length) words.push(`${counted(refused.length, "line")} refused`);
    say(`${words.join(", ")}.`);
    $("#import-refused").replaceChildren(
      ...refused.map(([line, why]) => make("li", { text: `Line ${line}: ${visible(why)}` })),
    );
  } catch (error) {
    say(`${file.name} could not be imported: ${reason(error)}`);
  }
  field.value = "";
}

/** @param {() => Promise<string>} action whose sentence is shown when it is done */
async function attempt(action) {
  try {
    say(await action());
  } catch (error) {
    say(reason(error));
  }
  changed();
}

/** @param {SubmitEvent} event */
async function save(event) {
  event.preventDefault();
  const field = input("#state-name");
  const name = field.value.trim();
  const known = [...document.querySelectorAll("#states [data-state-name]")];
  const there = known.some((item) => item instanceof HTMLElement && item.dataset.stateName === name);
  const replace = { question: `Replace the state “${name}”?`, text: "What it holds now is lost.", yes: "Replace it" };
  if (there && !(await confirm({ ...replace, danger: true }))) return;
  await attempt(async () => {
    await post("/api/state/save", { save_name: name });
    field.value = "";
    return `Saved as “${name}”.`;
  });
}

/** @param {State} state */
async function load(state) {
  const sure = await confirm({
    question: `Load the state “${state.name}”?`,
    text: `Memory becomes what it was then: ${counted(state.facts, "fact")}. What it is now is saved before, as a state of its own, so there is a way back.`,
    yes: "Load it",
  });
  if (!sure) return;
  await attempt(async () => {
    const { before } = await post("/api/state/load", { save_name: state.name });
    return `Loaded “${state.name}”. The way back is “${before}”.`;
  });
}

/** @param {State} state */
async function drop(state) {
  const sure = await confirm({
    question: `Delete the state “${state.name}”?`,
    text: "This cannot be taken back.",
    yes: "Delete it",
    danger: true,
  });
  if (!sure) return;
  await attempt(async () => {
    await remove(`/api/state/${encodeURIComponent(state.name)}`);
    return `Deleted “${state.name}”.`;
  });
}

/** @param {State} state */
function row(state) {
  const meta = make("p", {
    class: "muted",
    text: `${when(state.saved_at)} · ${counted(state.facts, "fact")} · ${size(state.bytes)}`,
  });
  meta.title = exactly(state.saved_at);
  const item = make("li", { class: "fact" }, [
    make("p", { class: "fact-text", text: state.name }),
    make("div", { class: "row-foot" }, [
      meta,
      makeButton("Load", () => load(state), { class: "button quiet small", label: `Load ${state.name}` }),
      makeButton("Delete", () => drop(state), { class: "button quiet small", label: `Delete ${state.name}` }),
    ]),
  ]);
  item.dataset.stateName = state.name;
  return item;
}

async function show() {
  const { states } = await get("/api/state");
  const nothing = make("li", { class: "muted", text: "No state is saved." });
  $("#states").replaceChildren(...(states.length ? states.map(row) : [nothing]));
}

export function start() {
  changed = keepFresh("memory", show);
  on("page:connected", changed);
  on("memory", (event) => {
    if (event.change === "loaded") changed();
  });
  $("#memory-import").addEventListener("change", () => void importFile());
  button("#import-pick").addEventListener("click", () => input("#memory-import").click());
  $("#state-save").addEventListener("submit", (event) => void save(/** @type {SubmitEvent} */ (event)));
}
