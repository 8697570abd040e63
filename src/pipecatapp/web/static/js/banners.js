// @ts-check
// What the person must know at the top of the page: no connection, no microphone here, something went wrong.

import { get } from "./api.js";
import { on, tell } from "./bus.js";
import { $, button } from "./dom.js";
import { secureLink } from "./secure.js";

/**
 * @param {string} text
 * @param {boolean} [withSecureActions]
 */
function notice(text, withSecureActions = false) {
  $("#banner-notice-text").textContent = text;
  $("#banner-secure-actions").hidden = !withSecureActions;
  $("#banner-notice").hidden = false;
}

async function explainInsecure() {
  const status = await get("/api/status");
  const why = "Browsers give the microphone only to secure pages, and this one came over plain http.";
  if (status.tls_port) notice(`${why} The secure page is the same conversation, with the microphone.`, true);
  else
    notice(
      `${why} TLS is switched off here (WEB_TLS_PORT=0). On the machine itself http://localhost:${location.port} works.`,
    );
}

export function start() {
  on("page:disconnected", () => {
    $("#banner-connection-text").textContent =
      "No connection to the assistant. Trying again; the conversation is kept.";
    $("#banner-connection").hidden = false;
  });
  on("page:connected", () => {
    $("#banner-connection").hidden = true;
  });
  on("page:notice", (event) => notice(event.text ?? ""));
  on("page:notice-done", () => {
    $("#banner-notice").hidden = true;
  });
  on("page:insecure", () => {
    explainInsecure().catch((error) => notice(String(error.message)));
  });
  button("#banner-notice-close").addEventListener("click", () => tell("page:notice-done"));
  button("#go-secure").addEventListener("click", async () => {
    try {
      location.assign(await secureLink());
    } catch (error) {
      notice(error instanceof Error ? error.message : String(error));
    }
  });
}
