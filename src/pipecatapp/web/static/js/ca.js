// @ts-check
// The page about the certificate: its fingerprint, and the way to the secure page.

import { get } from "./api.js";
import { $ } from "./dom.js";
import { secureLink } from "./secure.js";

const status = await get("/api/status");
if (status.ca_fingerprint) {
  $("#fingerprint-value").textContent = status.ca_fingerprint;
  $("#fingerprint").hidden = false;
}
const link = /** @type {HTMLAnchorElement} */ ($("#secure-link"));
link.addEventListener("click", async (event) => {
  if (window.isSecureContext && location.protocol === "https:") return;
  event.preventDefault();
  location.assign(await secureLink());
});
