// @ts-check
// All tools, with what they may do to the world, and those that are off with the reason.

import { get } from "./api.js";
import { on } from "./bus.js";
import { $, make } from "./dom.js";
import { counted } from "./format.js";
import { keepFresh } from "./tabs.js";

/** @typedef {import("./types.js").ToolInfo} ToolInfo */

/** @type {Record<string, string>} */
const RISKS = { read: "Reads", own: "Own", act: "Acts", danger: "Danger" };

/**
 * @param {string} risk
 * @returns {string}
 */
export function riskWord(risk) {
  return RISKS[risk] ?? risk;
}

/**
 * The schema of a tool's arguments; empty for one that is gone.
 * @param {string} name
 * @returns {Promise<import("./types.js").Schema>}
 */
export async function schemaOf(name) {
  const { tools } = await get("/api/tools");
  return tools.find((/** @type {ToolInfo} */ tool) => tool.name === name)?.parameters ?? {};
}

/** @param {ToolInfo} tool */
function row(tool) {
  const summary = make("summary", {}, [
    make("span", { class: "mono", text: tool.name }),
    make("span", { class: `risk ${tool.risk}`, text: riskWord(tool.risk) }),
  ]);
  const properties = Object.keys(tool.parameters.properties ?? {});
  const details = make("details", {}, [summary, make("p", { text: tool.description })]);
  if (properties.length)
    details.append(make("p", { class: "muted mono", text: `${tool.name}(${properties.join(", ")})` }));
  if (tool.offered === false)
    details.append(make("p", { class: "muted", text: "The model is told of it when a request fits." }));
  return make("li", {}, [details]);
}

/** @param {{name: string, off: string}} tool */
function offRow(tool) {
  return make("li", { class: "off" }, [
    make("span", { class: "mono", text: tool.name }),
    make("span", { class: "risk", text: "Off" }),
    make("span", { class: "reason", text: tool.off }),
  ]);
}

async function show() {
  const { tools, off = [] } = await get("/api/tools");
  $("#tool-list-count").textContent = counted(tools.length, "tool") + (off.length ? `, ${off.length} off` : "");
  $("#tool-list").replaceChildren(...tools.map(row), ...off.map(offRow));
}

export function start() {
  const changed = keepFresh("tools", show);
  on("page:connected", changed);
  on("health", changed);
}
