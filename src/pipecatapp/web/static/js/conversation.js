// @ts-check
// The conversation: one list item per turn, with the request, the tools used, the answer and what it cost.

import { on, tell } from "./bus.js";
import { costLine } from "./costs.js";
import { $, button, icon, make } from "./dom.js";

/** @typedef {import("./types.js").WireEvent} WireEvent */

/**
 * @typedef {object} TurnView
 * @property {HTMLElement} root
 * @property {HTMLElement} [said]
 * @property {HTMLElement} [steps]
 * @property {HTMLElement} [answer]
 * @property {HTMLElement} [cards]
 * @property {HTMLElement} [foot]
 * @property {HTMLElement} [notice]
 */

/** @type {Map<string, TurnView>} */
const turns = new Map();
let replaying = true;
let atEnd = true;
let lastTop = 0;

const list = () => $("#turns");
const scroller = () => $("#scroller");

/**
 * @param {string} id
 * @returns {TurnView}
 */
function turn(id) {
  let view = turns.get(id);
  if (!view) {
    view = { root: make("li", { class: "turn" }) };
    turns.set(id, view);
    list().append(view.root);
    $("#welcome").hidden = true;
  }
  return view;
}

/**
 * A request that was sent and has not come back as an event yet.
 * @param {string} id
 * @param {string} text
 */
export function showWaiting(id, text) {
  const view = turn(id);
  if (view.said) return;
  view.root.classList.add("waiting");
  setSaid(view, text, "typed");
  follow();
}

/**
 * @param {TurnView} view
 * @param {string} text
 * @param {string} source
 */
function setSaid(view, text, source) {
  if (!view.said) {
    view.said = make("p", { class: "said" });
    view.root.prepend(view.said);
  }
  const who = source === "voice" ? "You said: " : "You wrote: ";
  view.said.replaceChildren(make("span", { class: "visually-hidden", text: who }), text);
}

/**
 * @param {TurnView} view
 * @returns {HTMLElement}
 */
function answerOf(view) {
  if (!view.answer) {
    view.answer = make("p", { class: "answer" });
    view.root.insertBefore(view.answer, view.cards ?? view.notice ?? view.foot ?? null);
  }
  return view.answer;
}

/**
 * @param {TurnView} view
 * @returns {HTMLElement}
 */
function footOf(view) {
  if (!view.foot) {
    view.foot = make("p", { class: "turn-foot" });
    view.root.append(view.foot);
  }
  return view.foot;
}

/**
 * Put something under the answer of a turn.
 * @param {string} id
 * @param {HTMLElement} element
 */
export function place(id, element) {
  const view = turn(id);
  if (!view.cards) {
    view.cards = make("div", { class: "cards" });
    view.root.insertBefore(view.cards, view.notice ?? view.foot ?? null);
  }
  view.cards.append(element);
  follow();
}

/** Keep the end in sight, unless the person reads further up. */
function follow() {
  if (atEnd) {
    scroller().scrollTo({ top: scroller().scrollHeight, behavior: replaying ? "instant" : "smooth" });
  } else {
    button("#latest").hidden = false;
  }
}

function onUser(/** @type {WireEvent} */ event) {
  const view = turn(event.turn ?? "");
  view.root.classList.remove("waiting");
  list().append(view.root);
  setSaid(view, event.text ?? "", event.source ?? "");
  setPartial("");
  follow();
}

function onDelta(/** @type {WireEvent} */ event) {
  const answer = answerOf(turn(event.turn ?? ""));
  answer.classList.add("writing");
  answer.append(event.text ?? "");
  follow();
}

function onLive(/** @type {WireEvent} */ event) {
  for (const answer of document.querySelectorAll(".answer.writing")) {
    answer.classList.remove("writing");
  }
  if (!event.turn) return;
  const answer = answerOf(turn(event.turn));
  answer.classList.add("writing");
  answer.textContent = event.text ?? "";
}

function onAnswer(/** @type {WireEvent} */ event) {
  const view = turn(event.turn ?? "");
  const answer = answerOf(view);
  answer.classList.remove("writing");
  answer.textContent = event.text ?? "";
  answer.hidden = !event.text;
  if (view.notice?.textContent === event.text) dropNotice(view);
  setExpert(footOf(view), event.expert ?? "");
  const known = footOf(view).querySelector(".interrupted");
  if (event.interrupted && !known) footOf(view).prepend(make("span", { class: "interrupted", text: "Interrupted. " }));
  if (!event.interrupted) known?.remove();
  if (!replaying && event.text) $("#announce").textContent = event.text;
  follow();
}

/**
 * Who answered, where it was not the assistant's own model.
 * @param {HTMLElement} foot
 * @param {string} expert
 */
function setExpert(foot, expert) {
  foot.querySelector(".expert-name")?.remove();
  if (expert) foot.prepend(make("span", { class: "expert-name", text: `${expert} expert` }), " ");
}

/** @param {TurnView} view */
function dropNotice(view) {
  view.notice?.remove();
  delete view.notice;
  view.root.classList.add("failed");
}

function onError(/** @type {WireEvent} */ event) {
  const last = [...turns.values()].at(-1);
  const view = last ?? turn(`error-${event.seq}`);
  if (view.answer?.textContent?.endsWith(event.text ?? "")) {
    view.root.classList.add("failed");
    return;
  }
  view.notice?.remove();
  view.notice = make("p", { class: "notice", text: event.text ?? "" });
  view.root.insertBefore(view.notice, view.foot ?? null);
  if (!replaying) $("#announce").textContent = event.text ?? "";
  follow();
}

function onToolStarted(/** @type {WireEvent} */ event) {
  const view = turn(event.turn ?? "");
  if (!view.steps) {
    view.steps = make("ul", { class: "steps-taken" });
    if (view.said) view.said.after(view.steps);
    else view.root.prepend(view.steps);
  }
  const step = make("li", {}, [icon("tool"), make("span", { text: event.tool ?? "" })]);
  step.dataset.call = event.call_id ?? "";
  view.steps.append(step);
  follow();
}

function onToolFinished(/** @type {WireEvent} */ event) {
  const steps = turns.get(event.turn ?? "")?.steps?.children ?? [];
  for (const step of steps) {
    if (!(step instanceof HTMLElement) || step.dataset.call !== event.call_id || step.dataset.done) continue;
    step.dataset.done = "yes";
    const seconds = `${(event.seconds ?? 0).toFixed(1)} s`;
    step.append(make("span", { text: event.ok ? seconds : `failed, ${seconds}` }));
  }
}

function onCost(/** @type {WireEvent} */ event) {
  const foot = footOf(turn(event.turn ?? ""));
  foot.querySelector(".cost")?.remove();
  foot.append(make("span", { class: "cost", text: costLine(event) }));
  follow();
}

/** @param {string} text */
function setPartial(text) {
  const partial = $("#partial");
  partial.hidden = !text;
  partial.textContent = text;
}

function reset() {
  turns.clear();
  list().replaceChildren();
  setPartial("");
  $("#welcome").hidden = false;
  atEnd = true;
  replaying = true;
  button("#latest").hidden = true;
}

export function start() {
  on("page:reset", reset);
  on("page:disconnected", () => {
    replaying = true;
  });
  on("replayed", () => {
    replaying = false;
    follow();
  });
  on("user", onUser);
  on("delta", onDelta);
  on("live", onLive);
  on("assistant", onAnswer);
  on("error", onError);
  on("tool_started", onToolStarted);
  on("tool_finished", onToolFinished);
  on("turn_finished", onCost);
  on("cleared", reset);
  on("partial", (event) => {
    setPartial(event.text ?? "");
    if (event.text) $("#welcome").hidden = true;
    follow();
  });
  scroller().addEventListener("scroll", () => {
    const area = scroller();
    // On its own way down the area passes through much that is not the end; only a person goes up.
    if (area.scrollHeight - area.scrollTop - area.clientHeight < 60) atEnd = true;
    else if (area.scrollTop < lastTop) atEnd = false;
    lastTop = area.scrollTop;
    if (atEnd) button("#latest").hidden = true;
  });
  button("#latest").addEventListener("click", () => {
    atEnd = true;
    button("#latest").hidden = true;
    follow();
  });
  for (const example of document.querySelectorAll("[data-say]")) {
    example.addEventListener("click", () => {
      if (example instanceof HTMLElement) tell("page:say", example.dataset.say);
    });
  }
}
