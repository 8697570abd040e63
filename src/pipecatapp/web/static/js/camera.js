// @ts-check
// What the camera sees: the words, the picture with the things marked, and what is wrong with it.

import { get, reason } from "./api.js";
import { on } from "./bus.js";
import { $, make } from "./dom.js";
import { visible, when } from "./format.js";
import { isShown, keepFresh } from "./tabs.js";

const EVERY_MS = 2000;

/** @typedef {{on: boolean, source: string, detector: string, text: string, things: string[], at: number | null, trouble: string}} Camera */

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let shownAt = 0;

const picture = () => /** @type {HTMLImageElement} */ ($("#camera-picture"));

/** @param {Camera} camera */
function fill(camera) {
  $("#camera-off").hidden = camera.on;
  $("#camera-on").hidden = !camera.on;
  if (!camera.on) {
    $("#camera-why").textContent = camera.trouble;
    return;
  }
  const words = visible(camera.text || "Nothing is recognized yet.");
  $("#camera-text").textContent = words;
  $("#camera-about").textContent = [camera.source, camera.detector, camera.at ? when(camera.at) : ""]
    .filter(Boolean)
    .join(" · ");
  $("#camera-trouble").textContent = camera.trouble;
  $("#camera-trouble").hidden = !camera.trouble;
  $("#camera-things").replaceChildren(...camera.things.map((thing) => make("li", { text: visible(thing) })));
  picture().alt = words;
  picture().hidden = !camera.at;
  if (camera.at && camera.at !== shownAt) {
    shownAt = camera.at;
    picture().src = `/api/camera/picture?at=${camera.at}`;
  }
}

/** Look now, and again as long as a person can see it. */
async function look() {
  clearTimeout(timer);
  timer = undefined;
  if (!isShown("camera")) return;
  try {
    fill(await get("/api/camera"));
  } catch (error) {
    $("#camera-trouble").textContent = reason(error);
    $("#camera-trouble").hidden = false;
  }
  clearTimeout(timer);
  timer = setTimeout(look, EVERY_MS);
}

export function start() {
  const changed = keepFresh("camera", look);
  on("page:shown", () => {
    if (timer === undefined) changed();
  });
  on("page:connected", changed);
  on("observation", changed);
  picture().addEventListener("error", () => {
    picture().hidden = true;
  });
}
