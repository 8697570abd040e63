// @ts-check
// The time zone of this device: "what time is it" means the time here, also where the PC does not know its own.

/** @returns {string} an IANA name, or nothing */
export function zone() {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  return /^[A-Za-z0-9_+/-]{1,64}$/.test(name) ? name : "";
}
