// @ts-check
// How fast models are in this house: each with a bar, measured or forecast, and below it what was measured.

import { get } from "./api.js";
import { on } from "./bus.js";
import { $, make } from "./dom.js";
import { visible } from "./format.js";
import { keepFresh } from "./tabs.js";

/** @typedef {import("./types.js").Forecast} Forecast */
/** @typedef {import("./types.js").Measured} Measured */

/** @param {number} speed */
const rounded = (speed) => speed.toFixed(speed < 10 ? 1 : 0);

/** @param {Forecast} model */
function basis(model) {
  if (model.basis === "measured") {
    const off = model.forecast ? `, forecast ${rounded(model.forecast)}: ${Math.round(model.off * 100)} % off` : "";
    return `measured on ${visible(model.node)}${off}`;
  }
  const where = model.machines > 1 ? `on ${model.machines} PCs together` : `on ${visible(model.node)}`;
  return `forecast ${where}, between ${rounded(model.low)} and ${rounded(model.high)}`;
}

/**
 * @param {Forecast} model
 * @param {number} fastest
 */
function bar(model, fastest) {
  const line = make("span", { class: `bar ${model.basis === "measured" ? "measured" : ""}` });
  line.setAttribute("aria-hidden", "true");
  line.style.inlineSize = `${Math.max(1, (100 * model.tokens_per_s) / fastest)}%`;
  return line;
}

/**
 * @param {Forecast} model
 * @param {number} fastest
 */
function modelRow(model, fastest) {
  const name = make("th", {}, [make("span", { text: visible(model.model) })]);
  name.setAttribute("scope", "row");
  name.append(make("span", { class: "muted", text: basis(model) }), bar(model, fastest));
  return make("tr", {}, [name, make("td", { class: "number", text: rounded(model.tokens_per_s) })]);
}

/** @param {Record<string, number>} speeds */
const listed = (speeds) => Object.values(speeds).map(rounded).join(" / ") || "–";

/** @param {Measured} row */
function measuredRow(row) {
  const name = make("th", {}, [make("span", { text: `${visible(row.model)} on ${visible(row.node)}` })]);
  name.setAttribute("scope", "row");
  const parts = [row.quantization, row.machines > 1 ? `${row.engine}, ${row.machines} PCs` : row.engine, row.build];
  const lengths = Object.keys(row.prompt).map((length) => Number(length).toLocaleString());
  if (lengths.length) parts.push(`prompts of ${lengths.join(", ")} tokens`);
  name.append(make("span", { class: "muted", text: visible(parts.join(" · ")) }));
  const cells = [listed(row.prompt), listed(row.generated)].map((text) => make("td", { class: "number", text }));
  return make("tr", {}, [name, ...cells]);
}

async function load() {
  /** @type {{measured: Measured[], forecasts: Forecast[], problem: string}} */
  const { measured, forecasts, problem } = await get("/api/benchmarks");
  $("#speed-problem").hidden = !problem;
  $("#speed-problem").textContent = problem;
  const fastest = Math.max(...forecasts.map((model) => model.tokens_per_s), 1e-9);
  $("#speed-models").replaceChildren(...forecasts.map((model) => modelRow(model, fastest)));
  $("#speed-measured").replaceChildren(...measured.map(measuredRow));
  $("#speed-none").hidden = measured.length > 0;
  $("#speed-table").hidden = !measured.length;
}

export function start() {
  const changed = keepFresh("speed", load);
  on("page:connected", changed);
}
