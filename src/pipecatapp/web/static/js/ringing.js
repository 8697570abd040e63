// @ts-check
// What rings, over the conversation: stop it, or let it ring again; and what was missed.

import { post, reason } from "./api.js";
import { on, tell } from "./bus.js";
import { conversation } from "./current.js";
import { $, button } from "./dom.js";
import { visible } from "./format.js";
import { ring } from "./ring-sound.js";

/** @typedef {import("./types.js").Ring} Ring */

const SNOOZE_MIN = 5;
/** @type {Ring[]} */
let ringing = [];
/** @type {string[]} */
let missed = [];
const title = document.title;

/** Whether the voice session rings here: then the page is silent. */
const isTalking = () => $("#app").dataset.talking === "yes";

function show() {
  const here = ringing.filter((each) => each.everywhere || each.conversation === conversation());
  const words = here.map((each) => visible(each.sentence)).join(" ");
  const banner = $("#banner-ring");
  if ($("#banner-ring-text").textContent !== words) $("#banner-ring-text").textContent = words;
  banner.hidden = here.length === 0;
  banner.dataset.ids = here.map((each) => each.id).join(" ");
  document.title = here.length ? `\u{1F514} ${words}` : title;
  ring(here.length > 0 && !isTalking());
}

/** @param {"stop" | "snooze"} answer */
async function answer(answer) {
  const ids = ($("#banner-ring").dataset.ids ?? "").split(" ").filter(Boolean);
  if (!ids.length) return;
  const inside = $("#banner-ring").contains(document.activeElement);
  try {
    const { text } = await post("/api/schedule/rings", { ids, answer, minutes: SNOOZE_MIN });
    $("#announce").textContent = text;
    ringing = ringing.filter((each) => !ids.includes(each.id));
    show();
    if (inside) $("#words").focus();
  } catch (error) {
    tell("page:notice", reason(error));
  }
}

async function seen() {
  const ids = missed;
  $("#banner-missed").hidden = true;
  $("#words").focus();
  try {
    await post("/api/schedule/rings", { ids, answer: "seen" });
  } catch (error) {
    tell("page:notice", reason(error));
  }
}

export function start() {
  on("schedule", (event) => {
    ringing = (event.rings ?? []).filter((each) => each.state === "ringing");
    show();
    const now = event.missed ?? [];
    missed = now.map((each) => each.id);
    $("#banner-missed-text").textContent = now.map((each) => visible(each.sentence)).join(" ");
    $("#banner-missed").hidden = now.length === 0;
  });
  on("page:open", show);
  on("state", show);
  button("#ring-stop").addEventListener("click", () => void answer("stop"));
  button("#ring-snooze").addEventListener("click", () => void answer("snooze"));
  button("#banner-missed-close").addEventListener("click", () => void seen());
}
