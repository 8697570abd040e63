// @ts-check
// Plain HTTP to our own server. Without a session the login page takes over.

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function ask(path, options = {}) {
  const answer = await fetch(path, {
    ...options,
    headers: { accept: "application/json", "content-type": "application/json" },
  });
  if (answer.status === 401) location.assign("/login");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body?.error?.message ?? `${path} answered ${answer.status}`);
  return body;
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
