// @ts-check
// How values read on the page: times, counts, and text in which nothing can hide.

/**
 * The time of today, else the day.
 * @param {number} at seconds since 1970
 */
export function when(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString([], { day: "numeric", month: "short" });
}

/**
 * Day and time, to the second.
 * @param {number} at seconds since 1970
 */
export function exactly(at) {
  return new Date(at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}

/**
 * "1 fact", "2 facts".
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * Minutes and seconds that are left.
 * @param {number} seconds
 */
export function left(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// Control characters, zero-width ones, and those that turn the direction of writing.
const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * The same text with everything that does not show made visible: what a person allows is what they read.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(HIDDEN, (mark) => {
    if (mark === "\n" || mark === "\t") return mark;
    return `⟨U+${(mark.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/**
 * An argument as a person reads it: text as it is, all else as JSON.
 * @param {unknown} value
 */
export function literal(value) {
  return visible(typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "undefined"));
}
