// @ts-check
// The experts of the cluster, as they are now, and the choice of one by hand for this conversation.

import { post, reason } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, make } from "./dom.js";
import { visible } from "./format.js";
import { offer } from "./tabs.js";

/** @typedef {import("./types.js").Expert} Expert */
/** @typedef {import("./types.js").Instance} Instance */

const COLUMNS = ["Address", "State", "Tokens/s", "Queue", "Turns"];

/** @param {Instance} instance */
function instanceRow(instance) {
  const what = [instance.engine, instance.model, instance.context ? `${instance.context} tokens` : ""];
  const address = make("td", {}, [
    make("span", { class: "mono", text: visible(instance.address) }),
    make("span", { class: "muted", text: visible(what.filter(Boolean).join(" · ")) }),
  ]);
  const speed = typeof instance.tokens_per_s === "number" ? instance.tokens_per_s.toFixed(1) : "–";
  return make("tr", {}, [
    address,
    make("td", {}, [make("span", { class: `state ${instance.state}`, text: visible(instance.state) })]),
    make("td", { class: "number", text: speed }),
    make("td", { class: "number", text: String(instance.queue ?? 0) }),
    make("td", { class: "number", text: String(instance.turns ?? 0) }),
  ]);
}

/** @param {Expert} expert */
function table(expert) {
  const head = make("thead", {}, [
    make(
      "tr",
      {},
      COLUMNS.map((name) => {
        const cell = make("th", { text: name });
        cell.setAttribute("scope", "col");
        return cell;
      }),
    ),
  ]);
  const caption = make("caption", {}, [make("strong", { text: visible(expert.name) })]);
  if (expert.description) caption.append(make("span", { class: "muted", text: visible(expert.description) }));
  return make("table", { class: "expert" }, [caption, head, make("tbody", {}, expert.instances.map(instanceRow))]);
}

/**
 * @param {Expert[]} experts
 * @param {boolean} stale
 */
function show(experts, stale) {
  offer("experts", experts.length > 0);
  $("#experts-stale").hidden = !stale;
  $("#experts").replaceChildren(...experts.map(table));
  const select = /** @type {HTMLSelectElement} */ ($("#expert-choice"));
  const before = select.value;
  const names = experts.map((expert) => expert.name);
  select.replaceChildren(new Option("automatic", ""), ...names.map((name) => new Option(visible(name), name)));
  select.value = names.includes(before) ? before : "";
}

async function choose() {
  const select = /** @type {HTMLSelectElement} */ ($("#expert-choice"));
  try {
    await post("/api/experts/choose", { conversation: conversation(), expert: select.value });
    $("#expert-chosen").textContent = select.value
      ? `${visible(select.value)} answers in this conversation.`
      : "The assistant chooses who answers.";
  } catch (error) {
    select.value = "";
    tell("page:notice", reason(error));
  }
}

export function start() {
  on("experts", (event) => show(event.experts ?? [], event.stale ?? false));
  $("#expert-choice").addEventListener("change", () => void choose());
}
