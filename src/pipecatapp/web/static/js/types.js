// @ts-check
// The shapes of what comes over the wire (docs/reference/events.md), for the type checker.

/**
 * @typedef {object} WireEvent
 * @property {string} type
 * @property {number} [seq]
 * @property {number} [at] seconds since 1970
 * @property {string} conversation empty: it concerns the whole node
 * @property {string} [turn]
 * @property {string} [text]
 * @property {string} [source]
 * @property {string} [state]
 * @property {boolean} [interrupted]
 * @property {string} [kind]
 * @property {string} [call_id]
 * @property {string} [tool]
 * @property {Record<string, unknown>} [arguments]
 * @property {boolean} [ok]
 * @property {string} [detail]
 * @property {number} [seconds]
 * @property {number | null} [stt_s]
 * @property {number | null} [first_token_s]
 * @property {number | null} [first_audio_s]
 * @property {number | null} [total_s]
 * @property {number} [evaluated_tokens]
 * @property {number} [cached_tokens]
 * @property {number} [generated_tokens]
 * @property {string} [component]
 * @property {string} [reason]
 * @property {number | null} [progress]
 * @property {string} [level]
 * @property {string} [logger]
 * @property {string} [message]
 * @property {string} [boot]
 * @property {"full" | "rest"} [replay]
 * @property {string} [version]
 */

/**
 * @typedef {object} Status
 * @property {string} version
 * @property {string} host
 * @property {boolean} secure
 * @property {number} tls_port
 * @property {string} ca_fingerprint
 * @property {boolean} ok
 */

export {};
