// @ts-check
// Which conversation this browser is in. The id is random and stays over refreshes.

const KEY = "conversation";
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** @returns {string} */
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `c-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * The plain page hands its conversation to the secure one behind the #.
 * @returns {string}
 */
function handedOver() {
  const given = new URLSearchParams(location.hash.slice(1)).get(KEY) ?? "";
  if (location.hash) history.replaceState(null, "", location.pathname);
  return given;
}

/** @returns {string} */
export function conversation() {
  const given = handedOver();
  if (ID.test(given)) return change(given);
  const known = localStorage.getItem(KEY) ?? "";
  return ID.test(known) ? known : change(fresh());
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
