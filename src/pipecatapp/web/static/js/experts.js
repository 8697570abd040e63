// @ts-check
// The experts of the cluster, as they are now, and the choice of one by hand for this conversation.

import { get, post, reason } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, make } from "./dom.js";
import { counted, visible } from "./format.js";
import { keepFresh, offer } from "./tabs.js";

/** @typedef {import("./types.js").Expert} Expert */
/** @typedef {import("./types.js").Instance} Instance */

const COLUMNS = ["Address", "State", "Tokens/s", "Turns"];

const choice = () => /** @type {HTMLSelectElement} */ ($("#expert-choice"));

/**
 * How an instance is: a word, and the class that colours it.
 * @param {Instance} instance
 * @returns {[word: string, looks: string]}
 */
function state({ state, busy, slots }) {
  if (state === "loading") return ["loading", "busy"];
  if (state === "open") return ["not answering", "unwell"];
  if (state === "half-open") return ["tried again", "busy"];
  return busy ? [`busy, ${busy} of ${slots}`, "busy"] : ["ready", "healthy"];
}

/** @param {Instance} instance */
function instanceRow(instance) {
  const [word, looks] = state(instance);
  const address = make("td", {}, [make("span", { class: "mono", text: visible(instance.id.replace(/^.*@/, "")) })]);
  if (instance.reason) address.append(make("span", { class: "muted", text: visible(instance.reason) }));
  return make("tr", {}, [
    address,
    make("td", {}, [make("span", { class: `state ${looks}`, text: word })]),
    make("td", { class: "number", text: instance.tokens_per_s ? instance.tokens_per_s.toFixed(1) : "–" }),
    make("td", { class: "number", text: String(instance.turns) }),
  ]);
}

/** @param {Expert} expert */
function about(expert) {
  const parts = [expert.model, expert.quantization, expert.engine];
  if (expert.context) parts.push(counted(expert.context, "token"));
  if (expert.external) parts.push("outside of this cluster");
  if (expert.queue) parts.push(`${expert.queue} waiting`);
  return visible(parts.filter(Boolean).join(" · "));
}

/** @param {string} name */
function heading(name) {
  const cell = make("th", { text: name });
  cell.setAttribute("scope", "col");
  return cell;
}

/** @param {Expert} expert */
function table(expert) {
  const caption = make("caption", {}, [make("strong", { text: visible(expert.name) })]);
  for (const words of [visible(expert.description), about(expert)])
    if (words) caption.append(make("span", { class: "muted", text: words }));
  const head = make("thead", {}, [make("tr", {}, COLUMNS.map(heading))]);
  return make("table", { class: "expert" }, [caption, head, make("tbody", {}, expert.instances.map(instanceRow))]);
}

/**
 * @param {Expert[]} experts
 * @param {boolean} stale
 */
function show(experts, stale) {
  $("#experts-stale").hidden = !stale;
  $("#experts").replaceChildren(...experts.map(table));
  const before = choice().value;
  const names = experts.filter((expert) => !expert.stands_in).map((expert) => expert.name);
  choice().replaceChildren(new Option("automatic", ""), ...names.map((name) => new Option(visible(name), name)));
  choice().value = names.includes(before) ? before : "";
  offer("experts", experts.length > 0);
}

async function load() {
  const answer = await get(`/api/experts?conversation=${conversation()}`);
  show(answer.experts, answer.stale);
  choice().value = answer.chosen;
}

async function choose() {
  const wanted = choice().value;
  try {
    await post("/api/experts/choose", { conversation: conversation(), expert: wanted });
    $("#expert-chosen").textContent = wanted
      ? `${visible(wanted)} answers in this conversation.`
      : "The assistant chooses who answers.";
  } catch (error) {
    tell("page:notice", reason(error));
    await load();
  }
}

export function start() {
  const changed = keepFresh("experts", load);
  on("experts", (event) => show(event.experts ?? [], event.stale ?? false));
  on("page:connected", changed);
  on("page:open", () => {
    $("#expert-chosen").textContent = "";
    changed();
  });
  choice().addEventListener("change", () => {
    choose().catch((error) => tell("page:notice", reason(error)));
  });
}
