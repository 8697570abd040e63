// @ts-check
// A browser gives the microphone to a secure page only: the way there, signed in.

import { get, post } from "./api.js";
import { conversation } from "./current.js";

/** Whether this page may ask for the microphone. */
export function microphoneAllowed() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

/**
 * The address of this page over TLS, with a ticket that signs in once and the conversation. Empty where TLS is off.
 * @returns {Promise<string>}
 */
export async function secureLink() {
  const status = await get("/api/status");
  if (!status.tls_port) return "";
  const { ticket } = await post("/api/ticket");
  const path = `/?ticket=${encodeURIComponent(ticket)}#conversation=${conversation()}`;
  return `https://${location.hostname}:${status.tls_port}${path}`;
}
