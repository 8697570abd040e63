// @ts-check
// Who hears what: panels subscribe to event types, the link and the voice publish them.

/** @typedef {import("./types.js").WireEvent} WireEvent */

/** @type {Map<string, Array<(event: WireEvent) => void>>} */
const listeners = new Map();

/**
 * Call `heard` for every event of this type.
 * @param {string} type
 * @param {(event: WireEvent) => void} heard
 */
export function on(type, heard) {
  const known = listeners.get(type);
  if (known) known.push(heard);
  else listeners.set(type, [heard]);
}

/**
 * Hand an event to everyone who listens for its type.
 * @param {WireEvent} event
 */
export function publish(event) {
  for (const heard of listeners.get(event.type) ?? []) heard(event);
}

/**
 * An event of the page's own (`page:` types), with an optional text.
 * @param {string} type
 * @param {string} [text]
 */
export function tell(type, text = "") {
  publish({ type, text, conversation: "" });
}
