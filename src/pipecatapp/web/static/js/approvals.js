// @ts-check
// The calls that wait for a person's yes: their cards, how many there are, and the way to them from anywhere.

import { get, reason } from "./api.js";
import { ApprovalCard } from "./approval-card.js";
import { on, tell } from "./bus.js";
import { place } from "./conversation.js";
import { conversation } from "./current.js";
import { $, button } from "./dom.js";
import { closeDrawer } from "./drawer.js";
import { counted, visible } from "./format.js";

/** @typedef {import("./types.js").Approval} Approval */
/** @typedef {import("./types.js").WireEvent} WireEvent */

/** @type {Map<string, ApprovalCard>} */
const cards = new Map();
/** @type {Approval[]} those of other conversations */
let elsewhere = [];
let replaying = true;
const title = document.title;

const waiting = () => [...cards.values()].filter((card) => card.waiting);

/**
 * Keeps in the set what can be seen of the conversation.
 * @param {Set<Element>} seen
 * @param {number} share how much of an element has to be in sight
 */
function watch(seen, share) {
  return new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) {
        if (isIntersecting) seen.add(target);
        else seen.delete(target);
      }
      show();
    },
    { root: $("#scroller"), threshold: share },
  );
}

/** @type {Set<Element>} buttons that can be pressed */
const pressable = new Set();
/** @type {Set<Element>} cards of which a part can be seen */
const inSight = new Set();
const buttonsSeen = watch(pressable, 0.5);
const cardsSeen = watch(inSight, 0);

/**
 * Whether the person is busy with it; then nothing floats over it.
 * @param {ApprovalCard} card
 */
function inHand(card) {
  return inSight.has(card.root) && card.root.contains(document.activeElement);
}

function show() {
  const here = waiting();
  const count = here.length + elsewhere.length;
  const words = `${counted(count, "action")} ${count === 1 ? "waits" : "wait"} for your answer`;
  $("#waiting").hidden = count === 0;
  $("#waiting-count").textContent = String(count);
  button("#waiting").setAttribute("aria-label", words);
  $("#bar").classList.toggle("crowded", count > 0);
  const hidden = here.filter((card) => !pressable.has(card.actions)).length;
  $("#to-waiting").hidden = hidden === 0 || here.some(inHand);
  $("#to-waiting-text").textContent = `${counted(hidden, "action")} ${hidden === 1 ? "waits" : "wait"} for you`;
  document.title = count ? `(${count}) ${title}` : title;
}

/**
 * Say it once to who cannot see it.
 * @param {string} text
 */
function announce(text) {
  $("#announce-waiting").textContent = visible(text);
}

/** @param {Approval} approval */
function add(approval) {
  const known = cards.get(approval.id);
  // What is read from the disk after a restart has its secrets masked; the server knows the call as it is.
  const same = known && JSON.stringify(known.approval.arguments) === JSON.stringify(approval.arguments);
  if (same && known.approval.digest === approval.digest) {
    known.prolong(approval.expires_at);
    return;
  }
  const card = new ApprovalCard(approval);
  cards.set(approval.id, card);
  if (known) known.root.replaceWith(card.root);
  else place(approval.turn, card.root);
  buttonsSeen.observe(card.actions);
  cardsSeen.observe(card.root);
  if (!replaying) announce(`Waits for your answer: ${approval.sentence}`);
  // Who let it look, and did nothing else since, wants to see what it found.
  if (approval.after && cards.get(approval.after)?.root.contains(document.activeElement)) card.focus();
  show();
}

/** @param {WireEvent} event */
function decided(event) {
  const card = cards.get(event.id ?? "");
  if (!card) return;
  if (card.waiting && !replaying) announce(`${event.decision}: ${card.approval.sentence}`);
  card.close(event.decision ?? "expired", event.by ?? "", event.arguments, event.step);
  show();
}

/** Compare with what the server knows: the other conversations are only there, and an event may have been missed. */
async function compare() {
  const known = waiting();
  const { approvals } = await get("/api/approvals");
  /** @type {Approval[]} */
  const all = approvals;
  elsewhere = all.filter((approval) => approval.conversation !== conversation());
  if (!replaying) for (const approval of all) if (approval.conversation === conversation()) add(approval);
  for (const card of known) {
    // What was decided while the server answered has its outcome already.
    if (card.waiting && !all.some((approval) => approval.id === card.approval.id)) card.lose();
  }
  show();
}

/** To the first that waits, also in another conversation. Moves the focus and decides nothing. */
export function goToWaiting() {
  closeDrawer();
  const card = waiting().find((one) => !pressable.has(one.actions)) ?? waiting()[0];
  if (card) card.focus();
  else if (elsewhere[0]) tell("page:open", elsewhere[0].conversation);
}

function reset() {
  for (const observer of [buttonsSeen, cardsSeen]) observer.disconnect();
  for (const card of cards.values()) card.drop();
  pressable.clear();
  inSight.clear();
  cards.clear();
  replaying = true;
  show();
}

export function start() {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => compare().catch((error) => tell("page:notice", reason(error))), 300);
  };
  on("page:reset", reset);
  on("cleared", reset);
  on("page:disconnected", () => {
    replaying = true;
  });
  on("replayed", () => {
    replaying = false;
    soon();
  });
  on("approval", (event) => add(/** @type {Approval} */ (/** @type {unknown} */ (event))));
  on("approval_decided", decided);
  on("audit", soon);
  on("page:approvals", soon);
  document.addEventListener("focusin", show);
  button("#waiting").addEventListener("click", goToWaiting);
  button("#to-waiting").addEventListener("click", goToWaiting);
  setInterval(() => {
    for (const card of cards.values()) card.tick();
  }, 1000);
}
