// @ts-check
// One call that waits for a person's yes: what it would do, exactly, and the buttons. Later: what became of it.

import { ApiError, post, reason, serverNow } from "./api.js";
import { tell } from "./bus.js";
import { confirm, withdraw } from "./confirm.js";
import { icon, make, makeButton } from "./dom.js";
import { left, literal, visible } from "./format.js";
import { SchemaForm } from "./schema-form.js";
import { riskWord, schemaOf } from "./tool_list.js";

/** @typedef {import("./types.js").Approval} Approval */
/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {import("./types.js").Step} Step */

const SHORT_LINES = 12;
const MASK = "***";

/** @type {Record<string, string>} */
const BY = { page: "on the page", terminal: "in the terminal", voice: "by voice", typed: "in writing" };

/** @type {Record<Decision, string>} */
const OUTCOMES = { approved: "Allowed", refused: "Refused", expired: "Expired: nobody answered in time" };

/** @type {Record<Step, {step: string, detail: string, allow: string, edited: string}>} */
const STEPS = {
  only: { step: "", detail: "Preview", allow: "Allow once", edited: "Allow once with these arguments" },
  look: {
    step: "Step 1 of 2: may it look?",
    detail: "What looking does",
    allow: "Let it look",
    edited: "Let it look with these arguments",
  },
  run: {
    step: "Step 2 of 2: may it run?",
    detail: "What it found",
    allow: "Allow once",
    edited: "Allow once with these arguments",
  },
};

/**
 * "Allowed on the page".
 * @param {Decision} decision
 * @param {string} by
 * @param {Step} step
 */
function outcome(decision, by, step) {
  if (by === "withdrawn") return "Withdrawn: it is no longer wanted";
  if (decision === "expired") return OUTCOMES.expired;
  const words = decision === "approved" && step === "look" ? "Allowed to look" : OUTCOMES[decision];
  return `${words} ${BY[by] ?? visible(by)}`.trim();
}

/**
 * Whether a person changed something. What is masked in the record says nothing.
 * @param {Record<string, unknown>} asked
 * @param {Record<string, unknown>} ran
 */
function differ(asked, ran) {
  return [...new Set([...Object.keys(asked), ...Object.keys(ran)])].some((name) => {
    const now = JSON.stringify(ran[name]) ?? "";
    return now !== (JSON.stringify(asked[name]) ?? "") && !now.includes(MASK);
  });
}

/** @param {Record<string, unknown>} values */
function argumentList(values) {
  const list = make("dl", { class: "arguments" });
  for (const [name, value] of Object.entries(values))
    list.append(
      make("dt", { class: "mono", text: visible(name) }),
      make("dd", { class: "mono", text: literal(value) }),
    );
  return list;
}

export class ApprovalCard {
  #left = make("span", { class: "left" });
  #head = make("p", { class: "approval-head" });
  #call = /** @type {HTMLDetailsElement} */ (make("details", { class: "approval-call" }));
  #problem = make("p", { class: "problem" });
  #edit = make("div");
  #editButton = makeButton("Edit", () => this.#startEdit());
  #aloud = make("p", { class: "aloud muted", text: "You can also say or write “yes, do it”, or “no”." });
  #busy = false;
  #asking = false;
  #tooLate = false;
  /** @type {SchemaForm | null} */
  #form = null;

  /** @param {Approval} approval */
  constructor(approval) {
    this.approval = approval;
    this.step = approval.step ?? "only";
    this.waiting = true;
    /** Where the buttons are: the page asks whether they are in sight. */
    this.actions = make("div", { class: "approval-actions" });
    this.root = make("section", { class: `approval ${approval.risk}` });
    this.root.tabIndex = -1;
    this.root.dataset.approval = approval.id;
    this.root.setAttribute("aria-label", `Waits for your answer: ${visible(approval.sentence)}`);
    this.#left.setAttribute("role", "timer");
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    this.#head.append(
      icon("alert"),
      make("span", { class: `risk ${approval.risk}`, text: riskWord(approval.risk) }),
      make("span", { text: "waits for your answer" }),
      this.#left,
    );
    const { step } = STEPS[this.step];
    if (step) this.root.append(make("p", { class: "approval-step", text: step }));
    this.#fillCall(approval.arguments);
    this.#call.open = true;
    this.root.prepend(this.#head);
    this.root.append(make("p", { class: "approval-sentence", text: visible(approval.sentence) }));
    if (this.step === "look")
      this.root.append(
        make("p", {
          class: "muted",
          text: "Looking changes nothing. What it finds is shown, and you are asked again.",
        }),
      );
    this.root.append(this.#call, ...this.#detail(), this.#edit, this.#problem, this.actions);
    if (approval.by_voice) this.root.append(this.#aloud);
    this.#showButtons();
    this.tick();
  }

  /** Show how much time is left. */
  tick() {
    if (!this.waiting) return;
    const seconds = this.approval.expires_at - serverNow();
    this.#left.textContent = seconds > 0 ? `${left(seconds)} left` : "time is up";
    if (seconds < -2) tell("page:approvals");
  }

  /**
   * It waits until then: its time began anew.
   * @param {number} expiresAt
   */
  prolong(expiresAt) {
    this.approval.expires_at = expiresAt;
    this.tick();
  }

  /** Bring it into sight, for the eyes and for the keyboard. */
  focus() {
    this.actions.scrollIntoView({ block: "center", behavior: "instant" });
    this.root.focus({ preventScroll: true });
  }

  /**
   * It waits no longer.
   * @param {Decision} decision
   * @param {string} by
   * @param {Record<string, unknown>} [ran] the arguments, which a person may have edited
   * @param {Step} [step] what was decided: with other arguments it may have to look first
   */
  close(decision, by, ran, step = this.step) {
    const edited = decision === "approved" && ran && differ(this.approval.arguments, ran);
    const words = outcome(decision, by, step);
    this.#end(decision, edited ? `${words}, with other arguments` : words);
    if (ran) this.#fillCall(ran);
  }

  /** It is taken off the page: what it asks goes with it. */
  drop() {
    if (this.#asking) withdraw();
  }

  /** The server knows it no longer, and did not say why. */
  lose() {
    this.#end("expired", "No longer waiting");
  }

  /**
   * @param {Decision} decision
   * @param {string} words
   */
  #end(decision, words) {
    const focused = this.root.contains(document.activeElement);
    this.drop();
    this.waiting = false;
    this.root.classList.add("decided", decision);
    this.root.setAttribute("aria-label", `${words}: ${visible(this.approval.sentence)}`);
    this.#head.replaceChildren(
      icon(decision === "approved" ? "check" : "close"),
      make("span", { class: "outcome", text: words }),
    );
    this.#edit.replaceChildren();
    this.actions.replaceChildren();
    this.#aloud.remove();
    this.#problem.hidden = !this.#tooLate;
    for (const open of this.root.querySelectorAll("details")) open.open = false;
    if (focused) this.root.focus();
  }

  /** @param {Record<string, unknown>} values */
  #fillCall(values) {
    const name = make("summary", {}, [make("span", { class: "mono", text: visible(this.approval.tool) })]);
    const empty = Object.keys(values).length === 0;
    this.#call.replaceChildren(
      name,
      empty ? make("p", { class: "muted", text: "No arguments." }) : argumentList(values),
    );
  }

  #detail() {
    const { detail } = this.approval;
    if (!detail) return [];
    const words = make("pre", { text: visible(detail) });
    words.tabIndex = 0;
    words.setAttribute("role", "group");
    const title = STEPS[this.step].detail;
    words.setAttribute("aria-label", title);
    const more = /** @type {HTMLDetailsElement} */ (
      make("details", { class: "approval-detail" }, [make("summary", { text: title }), words])
    );
    more.open = this.step === "run" || detail.split("\n").length <= SHORT_LINES;
    return [more];
  }

  #showButtons() {
    const { scope, risk } = this.approval;
    const buttons = [makeButton(STEPS[this.step].allow, () => this.#allow("once"), { class: "button primary" })];
    if (scope) {
      const words = `Allow for this session: ${visible(scope)}`;
      buttons.push(makeButton(words, () => this.#allow("session")));
    }
    buttons.push(
      this.#editButton,
      makeButton("Refuse", () => this.#answer({ decision: "refuse", scope: "once" }), { class: "button refuse" }),
    );
    if (risk === "danger" && this.step !== "look") buttons[0]?.classList.add("danger");
    this.#edit.replaceChildren();
    this.#form = null;
    this.actions.replaceChildren(...buttons);
  }

  async #startEdit() {
    try {
      this.#form = new SchemaForm(await schemaOf(this.approval.tool), this.approval.arguments);
    } catch (error) {
      this.#refused(error);
      return;
    }
    if (!this.waiting) return;
    this.#form.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#stopEdit();
    });
    this.#edit.replaceChildren(this.#form.root);
    this.actions.replaceChildren(
      makeButton(STEPS[this.step].edited, () => this.#allowEdited(), {
        class: `button primary ${this.step === "look" ? "" : this.approval.risk}`,
      }),
      makeButton("Do not edit", () => this.#stopEdit()),
    );
    this.#form.focus();
  }

  #stopEdit() {
    this.#problem.hidden = true;
    this.#showButtons();
    this.#editButton.focus();
  }

  /** @param {"once" | "session"} scope */
  async #allow(scope) {
    if (await this.#sure(this.approval.sentence, this.approval.arguments))
      await this.#answer({ decision: "approve", scope });
  }

  async #allowEdited() {
    const edited = this.#form?.read();
    if (!edited) return;
    if (await this.#sure(`Run ${this.approval.tool} with these arguments`, edited))
      await this.#answer({ decision: "approve", scope: "once", arguments: edited });
  }

  /**
   * What is dangerous is asked once more, by name.
   * @param {string} sentence
   * @param {Record<string, unknown>} values
   */
  async #sure(sentence, values) {
    if (this.approval.risk !== "danger" || this.step === "look") return true;
    this.#asking = true;
    const yes = await confirm({
      question: `${visible(sentence).replace(/[.\s]+$/, "")}?`,
      text: "This can destroy things, and cannot be taken back.",
      call: [make("p", { class: "mono", text: visible(this.approval.tool) }), argumentList(values)],
      yes: "Yes, run it",
      danger: true,
    });
    this.#asking = false;
    return yes && this.waiting;
  }

  /** @param {{decision: "approve" | "refuse", scope: string, arguments?: Record<string, unknown>}} answer */
  async #answer(answer) {
    if (this.#busy) return;
    this.#busy = true;
    this.root.setAttribute("aria-busy", "true");
    this.#problem.hidden = true;
    const { id, digest } = this.approval;
    try {
      const { step } = await post(`/api/approvals/${encodeURIComponent(id)}`, { ...answer, digest });
      const decision = answer.decision === "approve" ? "approved" : "refused";
      if (this.waiting) this.close(decision, "page", answer.arguments, step);
      tell("page:approvals");
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#busy = false;
      this.root.removeAttribute("aria-busy");
    }
  }

  /** @param {unknown} error */
  #refused(error) {
    const field = error instanceof ApiError ? error.field : "";
    if (this.#form?.fail(reason(error), field)) return;
    const status = error instanceof ApiError ? error.status : 0;
    this.#tooLate = status === 404 || status === 409;
    this.#problem.textContent = this.#tooLate
      ? `Nothing was done by this answer: ${reason(error)}`
      : `The answer could not be given: ${reason(error)}`;
    this.#problem.hidden = false;
    if (this.#tooLate) tell("page:approvals");
  }
}
