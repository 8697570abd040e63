// @ts-check
// Which conversation this browser is in. The id is random and stays over refreshes.

const KEY = "conversation";

/** @returns {string} */
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `c-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @returns {string} */
export function conversation() {
  const known = localStorage.getItem(KEY);
  return known && /^[A-Za-z0-9_-]{1,64}$/.test(known) ? known : change(fresh());
}

/** Begin a new one. */
export function newConversation() {
  return change(fresh());
}

/**
 * Go to another one.
 * @param {string} id
 */
export function change(id) {
  localStorage.setItem(KEY, id);
  return id;
}
