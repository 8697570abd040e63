// @ts-check
// Small helpers for the document. Text enters the page through textContent alone.

/**
 * The element, or an error that names what is missing.
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function $(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no element ${selector}`);
  return found;
}

/**
 * @param {string} selector
 * @returns {HTMLButtonElement}
 */
export function button(selector) {
  return /** @type {HTMLButtonElement} */ ($(selector));
}

/**
 * @param {string} selector
 * @returns {HTMLInputElement}
 */
export function input(selector) {
  return /** @type {HTMLInputElement} */ ($(selector));
}

/**
 * A new element with a class, text and children.
 * @param {string} tag
 * @param {{class?: string, text?: string}} [looks]
 * @param {Node[]} [children]
 * @returns {HTMLElement}
 */
export function make(tag, looks = {}, children = []) {
  const element = document.createElement(tag);
  if (looks.class) element.className = looks.class;
  if (looks.text !== undefined) element.textContent = looks.text;
  element.append(...children);
  return element;
}

/**
 * A button that does something.
 * @param {string} text
 * @param {() => unknown} action
 * @param {{class?: string, label?: string}} [looks] `label` says more than the text, to who cannot see what it is at
 * @returns {HTMLButtonElement}
 */
export function makeButton(text, action, looks = {}) {
  const made = /** @type {HTMLButtonElement} */ (make("button", { class: looks.class ?? "button", text }));
  made.type = "button";
  if (looks.label) made.setAttribute("aria-label", looks.label);
  made.addEventListener("click", () => void action());
  return made;
}

/**
 * Once the server has answered: give the focus to this, unless the person has gone elsewhere meanwhile.
 * @param {HTMLElement} target
 * @param {Element | null} [from] where the focus was: it may be there still
 */
export function giveFocus(target, from = null) {
  const now = document.activeElement;
  if (!now || now === document.body || from?.contains(now)) target.focus();
}

/**
 * One of the icons that index.html defines.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 */
export function setIcon(element, name) {
  element.querySelector("use")?.setAttribute("href", `#i-${name}`);
}
