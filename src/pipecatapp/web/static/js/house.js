// @ts-check
// The house: its PCs, what runs on them, what is healing, and whether what is said is kept.

import { get } from "./api.js";
import { on } from "./bus.js";
import { $, make } from "./dom.js";
import { visible } from "./format.js";
import { isShown, keepFresh } from "./tabs.js";

/** @typedef {import("./types.js").HousePc} HousePc */
/** @typedef {import("./types.js").HouseView} HouseView */
/** @typedef {import("./types.js").Room} Room */
/** @typedef {import("./types.js").Work} Work */

const EVERY_MS = 5000;
// What is left below this share is worth a look.
const SCARCE = 0.1;

/** @param {number} bytes */
const gigabytes = (bytes) => (bytes / 1024 ** 3).toFixed(bytes < 10 * 1024 ** 3 ? 1 : 0);

/**
 * How full something is: a bar, and the same in words.
 * @param {string} what
 * @param {Room | null} room
 */
function meter(what, room) {
  if (!room?.total) return make("p", { class: "muted", text: `${what}: not known` });
  const free = room.total - room.used;
  const bar = document.createElement("meter");
  bar.max = room.total;
  bar.value = room.used;
  bar.high = room.total * (1 - SCARCE);
  bar.optimum = 0;
  bar.setAttribute("aria-hidden", "true");
  const words = `${what}: ${gigabytes(free)} of ${gigabytes(room.total)} GB free`;
  return make("p", { class: free < room.total * SCARCE ? "scarce" : "" }, [make("span", { text: words }), bar]);
}

/** @param {HousePc} pc */
function row(pc) {
  const looks = !pc.there ? "unwell" : pc.role === "cut_off" || pc.keeps === false ? "busy" : "";
  const head = make("p", { class: "house-pc" }, [
    make("span", { class: "lamp" }),
    make("strong", { text: visible(pc.name) }),
    make("span", { class: "muted mono", text: visible(pc.address) }),
  ]);
  const rooms = pc.there ? [meter("RAM", pc.memory), meter("Disk", pc.disk)] : [];
  return make("li", { class: looks }, [head, make("p", { text: visible(pc.says) }), ...rooms]);
}

/** @param {Work} work */
function running(work) {
  const name = work.title === work.name ? [] : [make("span", { class: "muted mono", text: visible(work.name) })];
  return make("li", { class: work.ill_on?.length ? "unwell" : "" }, [
    make("strong", { text: visible(work.title) }),
    ...name,
    make("span", { text: visible(work.says) }),
  ]);
}

/** @param {HouseView} house */
function show(house) {
  // A live region is read aloud when it changes, not each time that somebody looks.
  if ($("#house-says").textContent !== house.says) $("#house-says").textContent = house.says;
  $("#house-says").className = house.saves ? "" : "problem";
  const unknown = house.unknown.map(visible).join(" ");
  $("#house-unknown").hidden = !unknown;
  if ($("#house-unknown").textContent !== unknown) $("#house-unknown").textContent = unknown;
  $("#house-pcs").replaceChildren(...house.pcs.map(row));
  $("#house-heals").hidden = house.alone;
  const healing = house.healing.length ? house.healing : ["Nothing: all is as it should be."];
  $("#house-healing").replaceChildren(...healing.map((text) => make("li", { text: visible(text) })));
  const jobs = new Set(house.jobs.map((job) => job.name));
  const works = [...house.jobs, ...house.services.filter((each) => !jobs.has(each.name) || each.ill_on?.length)];
  $("#house-works").hidden = works.length === 0;
  $("#house-running").replaceChildren(...works.map(running));
}

async function load() {
  show(await get("/api/house"));
}

export function start() {
  const changed = keepFresh("house", load);
  on("page:connected", changed);
  on("page:shown", (event) => {
    if (event.text === "house") changed();
  });
  setInterval(() => {
    if (isShown("house") && $("#banner-connection").hidden) changed();
  }, EVERY_MS);
}
