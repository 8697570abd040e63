// @ts-check
// The audit log: who let what run, the newest first, with filters.

import { get, reason } from "./api.js";
import { on, tell } from "./bus.js";
import { $, button, make } from "./dom.js";
import { exactly, literal, visible, when } from "./format.js";
import { keepFresh } from "./tabs.js";
import { riskWord } from "./tool_list.js";

/** @typedef {import("./types.js").AuditEntry} AuditEntry */

const PAGE = 50;

/** @type {Map<number, AuditEntry>} */
const known = new Map();
let more = false;

const chosen = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ ($(id)).value;

/** @param {AuditEntry} entry */
function fits(entry) {
  const tool = chosen("#audit-tool");
  const decision = chosen("#audit-decision");
  return (!tool || entry.tool === tool) && (!decision || entry.decision === decision);
}

/** @param {AuditEntry} entry */
function result(entry) {
  if (typeof entry.ok !== "boolean") return "did not run";
  return `${entry.ok ? "worked" : "failed"}${typeof entry.seconds === "number" ? `, ${entry.seconds.toFixed(2)} s` : ""}`;
}

/** @param {AuditEntry} entry */
function word(entry) {
  return entry.ok === false ? "failed" : entry.decision;
}

/** @param {AuditEntry} entry */
function row(entry) {
  const summary = make("summary", {}, [
    make("span", { class: "mono", text: entry.tool }),
    make("span", { class: `decision ${entry.ok === false ? "failed" : entry.decision}`, text: word(entry) }),
    make("time", { class: "muted", text: when(entry.at) }),
  ]);
  const facts = {
    When: exactly(entry.at),
    By: entry.by,
    Risk: riskWord(entry.risk),
    Result: result(entry),
    "Result digest": entry.result_digest,
    Conversation: entry.conversation,
    Number: String(entry.n),
  };
  const list = make("dl", { class: "facts" });
  for (const [name, value] of Object.entries(facts))
    if (value) list.append(make("dt", { text: name }), make("dd", { text: visible(String(value)) }));
  const values = make("pre", { text: literal(entry.arguments) });
  return make("li", {}, [make("details", {}, [summary, values, list])]);
}

/** A filter offers what is there. */
function fillFilter(/** @type {string} */ id, /** @type {string} */ all, /** @type {string[]} */ values) {
  const select = /** @type {HTMLSelectElement} */ ($(id));
  const before = select.value;
  select.replaceChildren(new Option(all, ""), ...[...new Set(values)].sort().map((value) => new Option(value, value)));
  select.value = before;
}

function show() {
  const entries = [...known.values()].sort((one, other) => other.n - one.n);
  fillFilter(
    "#audit-tool",
    "all tools",
    entries.map((entry) => entry.tool),
  );
  fillFilter(
    "#audit-decision",
    "all decisions",
    entries.map((entry) => entry.decision),
  );
  const fitting = entries.filter(fits);
  const nothing = entries.length ? "No entry fits the filter." : "No tool has been used yet.";
  const open = new Set([...document.querySelectorAll("#audit details[open]")].map((one) => one.parentElement?.id));
  const rows = fitting.map((entry) => {
    const item = row(entry);
    item.id = `audit-${entry.n}`;
    if (open.has(item.id)) item.querySelector("details")?.setAttribute("open", "");
    return item;
  });
  $("#audit").replaceChildren(...(rows.length ? rows : [make("li", { class: "muted", text: nothing })]));
  button("#audit-more").hidden = !more;
}

/** @param {number} [before] only entries older than this one */
async function load(before) {
  const answer = await get(`/api/audit?limit=${PAGE}${before ? `&before=${before}` : ""}`);
  const entries = /** @type {AuditEntry[]} */ (answer.entries);
  const joins = before !== undefined || entries.some((entry) => known.has(entry.n));
  if (!joins) known.clear();
  if (!joins || before !== undefined) more = answer.more;
  for (const entry of entries) known.set(entry.n, entry);
  show();
}

export function start() {
  const changed = keepFresh("audit", () => load());
  on("page:connected", changed);
  on("audit", changed);
  $("#audit-tool").addEventListener("change", show);
  $("#audit-decision").addEventListener("change", show);
  button("#audit-more").addEventListener("click", () => {
    load(Math.min(...known.keys())).catch((error) => tell("page:notice", reason(error)));
  });
}
