// @ts-check
// Long-term memory: look for facts, add, correct and forget them.

import { get, post, put, reason, remove } from "./api.js";
import { on, tell } from "./bus.js";
import { $, button, giveFocus, input, make, makeButton } from "./dom.js";
import { counted, exactly, visible, when } from "./format.js";
import { keepFresh } from "./tabs.js";

/** @typedef {import("./types.js").Fact} Fact */

const PAGE = 25;
const PAUSE_MS = 250;

let shown = PAGE;
let asked = 0;
/** The fact that is being edited: its row stays as it is meanwhile. */
let editing = "";
/** @type {Fact | null} */
let forgotten = null;

let changed = () => {};

/** @param {Fact} fact */
function about(fact) {
  const parts = [fact.kind, when(fact.created_at)];
  if (fact.seen > 1) parts.push(`said ${fact.seen} times`);
  if (fact.score) parts.push(`match ${Math.round(fact.score * 100)} %`);
  return parts.join(" · ");
}

/** @param {Fact} fact */
function row(fact) {
  const item = make("li", { class: "fact" });
  read(item, fact);
  return item;
}

/**
 * @param {HTMLElement} item
 * @param {Fact} fact
 */
function read(item, fact) {
  const meta = make("p", { class: "muted", text: about(fact) });
  meta.title = exactly(fact.created_at);
  item.dataset.fact = fact.id;
  item.replaceChildren(
    make("p", { class: "fact-text", text: visible(fact.text) }),
    make("div", { class: "row-foot" }, [
      meta,
      makeButton("Edit", () => edit(item, fact), { class: "button quiet small", label: `Edit: ${fact.text}` }),
      makeButton("Forget", () => forget(fact), { class: "button quiet small", label: `Forget: ${fact.text}` }),
    ]),
  );
}

/**
 * @param {HTMLElement} item
 * @param {Fact} fact
 */
async function edit(item, fact) {
  if (editing) return;
  editing = fact.id;
  const field = /** @type {HTMLTextAreaElement} */ (make("textarea", { class: "field" }));
  field.setAttribute("aria-label", "The fact");
  field.rows = 3;
  field.value = fact.text;
  const problem = make("p", { class: "field-problem" });
  problem.setAttribute("role", "alert");
  const past = make("div", { class: "past" });
  const done = (/** @type {Fact} */ now) => {
    editing = "";
    read(item, now);
    item.querySelector("button")?.focus();
    changed();
  };
  const save = async () => {
    try {
      done(await put(`/api/memory/${encodeURIComponent(fact.id)}`, { text: field.value }));
    } catch (error) {
      problem.textContent = reason(error);
      field.focus();
    }
  };
  const buttons = make("div", { class: "row-actions" }, [
    makeButton("Save", save, { class: "button small primary" }),
    makeButton("Cancel", () => done(fact), { class: "button small" }),
  ]);
  item.replaceChildren(field, problem, buttons, past);
  field.focus();
  past.append(...(await history(fact)));
}

/** @param {Fact} fact */
async function history(fact) {
  const answer = await get(`/api/memory/${encodeURIComponent(fact.id)}/history`);
  const facts = /** @type {Fact[]} */ (answer.history);
  if (!facts.length) return [make("p", { class: "muted", text: "It was never different." })];
  const old = facts.map((one) =>
    make("li", {}, [
      make("span", { text: visible(one.text) }),
      make("span", { class: "muted", text: ` ${when(one.created_at)}` }),
    ]),
  );
  return [make("p", { class: "muted", text: "Before:" }), make("ul", {}, old)];
}

/** @param {Fact} fact */
async function forget(fact) {
  try {
    await remove(`/api/memory/${encodeURIComponent(fact.id)}`);
  } catch (error) {
    tell("page:notice", reason(error));
    return;
  }
  forgotten = fact;
  $("#memory-undo-text").textContent = `Forgotten: ${visible(fact.text)}`;
  $("#memory-undo").hidden = false;
  button("#memory-undo-button").focus();
  changed();
}

async function undo() {
  if (!forgotten) return;
  try {
    await post("/api/memory", { text: forgotten.text, kind: forgotten.kind });
  } catch (error) {
    tell("page:notice", reason(error));
    return;
  }
  forgotten = null;
  $("#memory-undo").hidden = true;
  input("#memory-query").focus();
  changed();
}

/** @param {SubmitEvent} event */
async function add(event) {
  event.preventDefault();
  const field = input("#memory-text");
  try {
    const kind = input("#memory-kind").value.trim();
    await post("/api/memory", { text: field.value, ...(kind && { kind }) });
    field.value = "";
    $("#memory-problem").textContent = "";
    changed();
  } catch (error) {
    $("#memory-problem").textContent = reason(error);
  }
  giveFocus(field, field.form);
}

/** @param {{ok?: boolean, reason?: string, progress?: number | null}} health */
function showHealth(health) {
  const busy = typeof health.progress === "number";
  $("#memory-health").textContent = health.reason ?? "";
  $("#memory-health").classList.toggle("unwell", health.ok === false && !busy);
  const bar = /** @type {HTMLProgressElement} */ ($("#memory-progress"));
  bar.hidden = !busy;
  if (busy) bar.value = health.progress ?? 0;
}

async function show() {
  if (editing) return;
  asked += 1;
  const mine = asked;
  const query = input("#memory-query").value.trim();
  const kind = /** @type {HTMLSelectElement} */ ($("#memory-filter")).value;
  const wanted = new URLSearchParams({ query, kind, offset: "0", limit: String(shown) });
  const answer = await get(`/api/memory?${wanted}`);
  if (mine !== asked || editing) return; // a later question was asked meanwhile
  const facts = /** @type {Fact[]} */ (answer.facts);
  fillKinds(facts.map((fact) => fact.kind));
  const nothing = query || kind ? "Nothing fits." : "Nothing is remembered yet.";
  const focused = focusedButton();
  $("#memory-list").replaceChildren(
    ...(facts.length ? facts.map(row) : [make("li", { class: "muted", text: nothing })]),
  );
  if (focused)
    buttonsOf(document.querySelector(`#memory-list [data-fact="${CSS.escape(focused.fact)}"]`))[focused.index]?.focus();
  $("#memory-total").textContent = counted(answer.total, "fact");
  button("#memory-more").hidden = facts.length < shown || facts.length >= answer.total;
  showHealth(answer.health);
}

/**
 * @param {Element | null} row
 * @returns {HTMLButtonElement[]}
 */
function buttonsOf(row) {
  return row ? [...row.querySelectorAll("button")] : [];
}

/** Which fact's button has the focus: the list is made anew, and it must not be lost. */
function focusedButton() {
  const row = document.activeElement?.closest("#memory-list [data-fact]") ?? null;
  const index = buttonsOf(row).indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  return row instanceof HTMLElement && index >= 0 ? { fact: row.dataset.fact ?? "", index } : null;
}

/** @param {string[]} kinds */
function fillKinds(kinds) {
  const select = /** @type {HTMLSelectElement} */ ($("#memory-filter"));
  const known = [...select.options].map((option) => option.value);
  for (const kind of kinds) if (!known.includes(kind)) select.append(new Option(kind, kind));
  $("#memory-kinds").replaceChildren(...[...select.options].slice(1).map((option) => new Option("", option.value)));
}

export function start() {
  changed = keepFresh("memory", show);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const search = () => {
    shown = PAGE;
    clearTimeout(timer);
    timer = setTimeout(changed, PAUSE_MS);
  };
  on("page:connected", changed);
  on("memory", changed);
  on("health", (event) => {
    if (event.component === "memory") changed();
  });
  $("#memory-query").addEventListener("input", search);
  $("#memory-filter").addEventListener("change", search);
  $("#memory-add").addEventListener("submit", (event) => void add(/** @type {SubmitEvent} */ (event)));
  button("#memory-undo-button").addEventListener("click", () => void undo());
  button("#memory-more").addEventListener("click", () => {
    shown += PAGE;
    changed();
  });
}
