// @ts-check
// The lists, to be read and edited, and what was changed lately, to be taken back.

import { get, post, put, reason, remove } from "./api.js";
import { on, tell } from "./bus.js";
import { $, giveFocus, input, make, makeButton } from "./dom.js";
import { counted, exactly, visible, when } from "./format.js";
import { keepFresh } from "./tabs.js";

/** @typedef {{id: string, text: string}} Item */
/** @typedef {{key: string, name: string, items: Item[]}} List */
/** @typedef {{id: number, kind: string, text: string, at: number, undo: boolean}} Change */

/** The item that is being edited: nothing is made anew meanwhile. */
let editing = "";
/**
 * Where the focus goes when the rows are made anew, because what had it is gone.
 * @type {{name: string, index: number} | null}
 */
let wanted = null;
let changed = () => {};

/** @param {string} text */
function say(text) {
  $("#lists-said").textContent = text;
}

/** @param {string} key */
const path = (key) => `/api/lists/${encodeURIComponent(key)}`;

/**
 * @param {List} list
 * @param {Item} item
 */
function row(list, item) {
  const line = make("li");
  line.dataset.focus = `item ${item.id}`;
  read(line, list, item);
  return line;
}

/**
 * @param {HTMLElement} line
 * @param {List} list
 * @param {Item} item
 */
function read(line, list, item) {
  line.replaceChildren(
    make("span", { class: "list-text", text: visible(item.text) }),
    make("div", { class: "row-actions" }, [
      makeButton("Edit", () => edit(line, list, item), { class: "button quiet small", label: `Edit: ${item.text}` }),
      makeButton("Done", () => take(line, list, item), {
        class: "button quiet small",
        label: `Done, take off the ${list.name} list: ${item.text}`,
      }),
    ]),
  );
}

/**
 * @param {HTMLElement} line
 * @param {List} list
 * @param {Item} item
 */
function edit(line, list, item) {
  if (editing) return;
  editing = item.id;
  const field = /** @type {HTMLInputElement} */ (make("input", { class: "field" }));
  field.setAttribute("aria-label", `Change ${item.text}`);
  field.maxLength = 200;
  field.value = item.text;
  const problem = make("p", { class: "field-problem" });
  problem.setAttribute("role", "alert");
  const done = (/** @type {Item} */ now) => {
    editing = "";
    read(line, list, now);
    line.querySelector("button")?.focus();
    changed();
  };
  const save = async () => {
    try {
      await put(`${path(list.key)}/items/${encodeURIComponent(item.id)}`, { text: field.value });
      done({ ...item, text: field.value.trim() });
    } catch (error) {
      problem.textContent = reason(error);
      field.focus();
    }
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") void save();
    else if (event.key === "Escape") done(item);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const buttons = make("div", { class: "row-actions" }, [
    makeButton("Save", save, { class: "button small primary" }),
    makeButton("Cancel", () => done(item), { class: "button small" }),
  ]);
  line.replaceChildren(field, buttons, problem);
  field.focus();
  field.select();
}

/**
 * @param {HTMLElement} line
 * @param {List} list
 * @param {Item} item
 */
async function take(line, list, item) {
  const next = line.nextElementSibling ?? line.previousElementSibling;
  wanted =
    next instanceof HTMLElement ? { name: next.dataset.focus ?? "", index: 0 } : { name: `add ${list.key}`, index: -1 };
  try {
    await remove(`${path(list.key)}/items/${encodeURIComponent(item.id)}`);
    say(`${item.text} is off the ${list.name} list.`);
  } catch (error) {
    wanted = null;
    tell("page:notice", reason(error));
  }
  changed();
}

/** @param {List} list */
function section(list) {
  const id = `list-${encodeURIComponent(list.key)}`;
  const title = make("h3", { text: visible(list.name) });
  title.id = `h-${id}`;
  title.append(" ", make("span", { text: counted(list.items.length, "thing") }));
  const field = /** @type {HTMLInputElement} */ (make("input", { class: "field" }));
  field.id = id;
  field.required = true;
  field.maxLength = 200;
  field.placeholder = "Something to put there";
  field.autocomplete = "off";
  field.dataset.focus = `add ${list.key}`;
  const label = /** @type {HTMLLabelElement} */ (
    make("label", { class: "visually-hidden", text: `Put on the ${list.name} list` })
  );
  label.htmlFor = id;
  const submit = /** @type {HTMLButtonElement} */ (make("button", { class: "button", text: "Add" }));
  submit.setAttribute("aria-label", `Add to the ${list.name} list`);
  const problem = make("p", { class: "field-problem" });
  problem.id = `${id}-problem`;
  problem.setAttribute("role", "alert");
  const form = make("form", { class: "filters" }, [label, field, submit]);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void add(list, field);
  });
  const items = make(
    "ul",
    { class: "list-items" },
    list.items.map((item) => row(list, item)),
  );
  const end = makeButton("Remove", () => drop(list), {
    class: "button quiet small",
    label: `Remove the ${list.name} list`,
  });
  const block = make("section", { class: "block" }, [
    make("div", { class: "list-head" }, [title, end]),
    items,
    form,
    problem,
  ]);
  block.setAttribute("aria-labelledby", title.id);
  return block;
}

/**
 * @param {List} list
 * @param {HTMLInputElement} field
 */
async function add(list, field) {
  const text = field.value;
  let problem = "";
  try {
    await post(`${path(list.key)}/items`, { text });
    say(`${text.trim()} is on the ${list.name} list.`);
  } catch (error) {
    problem = reason(error);
  }
  const now = input(`#${CSS.escape(field.id)}`); // the rows may have been made anew meanwhile
  if (!problem) now.value = "";
  $(`#${CSS.escape(field.id)}-problem`).textContent = problem;
  giveFocus(now, now.form);
  changed();
}

/** @param {List} list */
async function drop(list) {
  try {
    await remove(path(list.key));
    say(`The ${list.name} list is removed. It can be taken back below.`);
  } catch (error) {
    tell("page:notice", reason(error));
  }
  input("#list-name").focus();
  changed();
}

/** @param {SubmitEvent} event */
async function begin(event) {
  event.preventDefault();
  const field = input("#list-name");
  try {
    await post("/api/lists", { name: field.value });
    field.value = "";
    $("#list-problem").textContent = "";
  } catch (error) {
    $("#list-problem").textContent = reason(error);
  }
  giveFocus(field, field.form);
  changed();
}

/** @param {Change} change */
function changeRow(change) {
  const time = make("p", { class: "muted", text: when(change.at) });
  time.title = exactly(change.at);
  const foot = make("div", { class: "row-foot" }, [time]);
  if (change.undo)
    foot.append(makeButton("Undo", () => undo(change), { class: "button quiet small", label: `Undo: ${change.text}` }));
  const line = make("li", {}, [make("p", { class: "change-text", text: visible(change.text) }), foot]);
  line.dataset.focus = `change ${change.id}`;
  return line;
}

/** @param {Change} change */
async function undo(change) {
  try {
    const { text } = await post(`/api/changes/${change.id}/undo`);
    say(text);
  } catch (error) {
    tell("page:notice", reason(error));
  }
  $("#details-lists").focus();
  changed();
}

async function show() {
  if (editing) return;
  const [{ lists }, { changes }] = await Promise.all([get("/api/lists"), get("/api/changes")]);
  if (editing) return;
  const place = wanted ?? focused();
  wanted = null;
  const typed = unsent();
  $("#lists").replaceChildren(...lists.map(section));
  const nothing = make("li", { class: "muted", text: "Nothing was changed yet." });
  $("#changes").replaceChildren(...(changes.length ? changes.map(changeRow) : [nothing]));
  for (const [id, text] of typed) if (document.getElementById(id)) input(`#${CSS.escape(id)}`).value = text;
  if (place) at(place)?.focus();
}

/** What somebody has begun to type: the fields are made anew, and it must not be lost. */
function unsent() {
  const fields = [...document.querySelectorAll("#lists form input")];
  return fields.map(
    (field) => /** @type {[string, string]} */ ([field.id, /** @type {HTMLInputElement} */ (field).value]),
  );
}

/** Where the focus is, in rows that are made anew. */
function focused() {
  const row = document.activeElement?.closest("#details-lists [data-focus]");
  if (!(row instanceof HTMLElement)) return null;
  const index = [...row.querySelectorAll("button")].indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  return { name: row.dataset.focus ?? "", index };
}

/** @param {{name: string, index: number}} place */
function at(place) {
  const row = document.querySelector(`#details-lists [data-focus="${CSS.escape(place.name)}"]`);
  return place.index < 0 ? /** @type {HTMLElement | null} */ (row) : row?.querySelectorAll("button")[place.index];
}

export function start() {
  changed = keepFresh("lists", show);
  on("page:connected", changed);
  on("own", changed);
  $("#list-new").addEventListener("submit", (event) => void begin(/** @type {SubmitEvent} */ (event)));
}
