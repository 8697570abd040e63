// @ts-check
// Plain HTTP to our own server. Without a session the login page takes over.

/** The server said no: its sentence, the status, and the name of the field that it is about (or ""). */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status
   * @param {string} field
   */
  constructor(message, status, field) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

let ahead = 0;

/** Now, in seconds since 1970, by the server's clock: a phone's own may be minutes off. */
export function serverNow() {
  return Date.now() / 1000 + ahead;
}

/** @param {Response} answer */
function compareClocks(answer) {
  const there = Date.parse(answer.headers.get("date") ?? "");
  // The header has whole seconds and may come late: only a difference that matters is one.
  if (there && Math.abs(there - Date.now()) > 10_000) ahead = (there - Date.now()) / 1000;
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function ask(path, options = {}) {
  const answer = await fetch(path, {
    ...options,
    headers: { accept: "application/json", "content-type": "application/json", ...options.headers },
  });
  compareClocks(answer);
  if (answer.status === 401) location.assign("/login");
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : {};
  const { message, param } = refusal(text);
  throw new ApiError(message || `${path} answered ${answer.status}`, answer.status, param);
}

/**
 * What an error's body says; a body of another kind says nothing.
 * @param {string} text
 * @returns {{message: string, param: string}}
 */
function refusal(text) {
  try {
    const { error } = JSON.parse(text);
    return { message: String(error?.message ?? ""), param: String(error?.param ?? "") };
  } catch {
    return { message: "", param: "" };
  }
}

/** @param {string} path */
export function get(path) {
  return ask(path);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 */
export function post(path, body = {}) {
  return ask(path, { method: "POST", body: JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {unknown} body
 */
export function put(path, body) {
  return ask(path, { method: "PUT", body: JSON.stringify(body) });
}

/** @param {string} path */
export function remove(path) {
  return ask(path, { method: "DELETE" });
}

/**
 * Send text as it is, of this media type.
 * @param {string} path
 * @param {string} body
 * @param {string} type
 */
export function send(path, body, type) {
  return ask(path, { method: "POST", body, headers: { "content-type": type } });
}

/**
 * The sentence of whatever was thrown.
 * @param {unknown} error
 */
export function reason(error) {
  return error instanceof Error ? error.message : String(error);
}
