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
 * @property {string} [what]
 * @property {string} [level]
 * @property {string} [logger]
 * @property {string} [message]
 * @property {string} [id]
 * @property {string} [risk]
 * @property {string} [sentence]
 * @property {string} [scope]
 * @property {boolean} [by_voice]
 * @property {string} [digest]
 * @property {number} [expires_at] seconds since 1970, by the server's clock
 * @property {Decision} [decision]
 * @property {Step} [step]
 * @property {string} [by]
 * @property {string} [change]
 * @property {AuditEntry} [entry]
 * @property {Expert[]} [experts]
 * @property {boolean} [stale]
 * @property {Due[]} [items]
 * @property {Ring[]} [rings]
 * @property {{id: string, sentence: string}[]} [missed]
 * @property {string} [expert]
 * @property {string} [boot]
 * @property {"full" | "rest"} [replay]
 * @property {string} [version]
 */

/**
 * A timer, an alarm or a reminder. Times are seconds since 1970, by the server's clock.
 * @typedef {object} Due
 * @property {string} id
 * @property {"timer" | "alarm" | "reminder"} kind
 * @property {string} name
 * @property {string} when in words; of a timer empty
 * @property {number | null} ends_at
 * @property {number | null} left_s of a timer that stands still
 */

/**
 * Something that rings, or will ring again.
 * @typedef {object} Ring
 * @property {string} id
 * @property {string} kind
 * @property {string} sentence
 * @property {string} conversation
 * @property {boolean} everywhere
 * @property {"ringing" | "snoozed"} state
 * @property {number | null} again_at
 */

/** @typedef {"approved" | "refused" | "expired"} Decision */

/**
 * A call that waits for a person.
 * @typedef {object} Approval
 * @property {string} conversation
 * @property {string} turn
 * @property {string} id
 * @property {string} tool
 * @property {Record<string, unknown>} arguments
 * @property {string} risk
 * @property {string} sentence
 * @property {string} detail
 * @property {string} scope what "for this session" covers; empty: once only
 * @property {boolean} by_voice
 * @property {string} digest
 * @property {number} expires_at
 * @property {Step} [step] what a yes does
 * @property {string} [after] the request that let the tool look before this
 */

/** @typedef {"only" | "look" | "run"} Step a yes runs it; a yes lets it look; it has looked, and a yes runs it */

/**
 * The part of JSON Schema that the arguments of tools are described with.
 * @typedef {object} Schema
 * @property {string | string[]} [type]
 * @property {string} [description]
 * @property {unknown[]} [enum]
 * @property {unknown} [default]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [maxLength]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 */

/**
 * @typedef {object} ToolInfo
 * @property {string} name
 * @property {string} description
 * @property {string} risk
 * @property {Schema} parameters
 * @property {boolean} [offered]
 */

/**
 * @typedef {object} AuditEntry
 * @property {number} n
 * @property {number} at
 * @property {string} conversation
 * @property {string} turn
 * @property {string} tool
 * @property {string} risk
 * @property {Record<string, unknown>} arguments
 * @property {string} decision
 * @property {string} by
 * @property {string | null} [result_digest]
 * @property {boolean | null} [ok]
 * @property {number | null} [seconds]
 */

/**
 * @typedef {object} Fact
 * @property {string} id
 * @property {string} text
 * @property {string} kind
 * @property {number} created_at
 * @property {number} seen
 * @property {string} turn
 * @property {number | null} score how well it fits the search
 */

/**
 * How fast a model is, or will be, on the best of what is there.
 * @typedef {object} Forecast
 * @property {string} model
 * @property {string} node
 * @property {number} machines
 * @property {number} tokens_per_s
 * @property {number} low
 * @property {number} high
 * @property {number} forecast
 * @property {number} off
 * @property {"measured" | "by_pc" | "by_class"} basis
 */

/**
 * What a benchmark found; speeds by the length of the prompt.
 * @typedef {object} Measured
 * @property {string} model
 * @property {string} node
 * @property {string} quantization
 * @property {string} engine
 * @property {string} build
 * @property {number} machines
 * @property {Record<string, number>} prompt
 * @property {Record<string, number>} generated
 */

/**
 * One server of an expert.
 * @typedef {object} Instance
 * @property {string} id its address
 * @property {"closed" | "open" | "half-open" | "loading"} state of its circuit breaker
 * @property {string} reason
 * @property {number} busy
 * @property {number} slots
 * @property {number} tokens_per_s
 * @property {number} turns
 */

/**
 * @typedef {object} Expert
 * @property {string} name
 * @property {string} description
 * @property {string} model
 * @property {string} engine
 * @property {string} quantization
 * @property {number} context
 * @property {boolean} external
 * @property {number} queue
 * @property {boolean} [stands_in] it answers in place of the agent's own model, and is asked nothing else
 * @property {Instance[]} instances
 */

/**
 * Bytes of memory or disk.
 * @typedef {object} Room
 * @property {number} used
 * @property {number} total
 */

/**
 * One PC of the house.
 * @typedef {object} HousePc
 * @property {string} name
 * @property {string} address
 * @property {boolean} there
 * @property {"active" | "standby" | "cut_off" | "alone" | "none"} role
 * @property {boolean | null} keeps whether its part of the memory can be reached
 * @property {string} says
 * @property {Room | null} memory
 * @property {Room | null} disk
 */

/**
 * A service or a job.
 * @typedef {object} Work
 * @property {string} name
 * @property {string} title
 * @property {string} says
 * @property {string[]} [ill_on]
 */

/**
 * @typedef {object} HouseView
 * @property {boolean} alone
 * @property {boolean} saves
 * @property {string} says
 * @property {HousePc[]} pcs
 * @property {Work[]} services
 * @property {Work[]} jobs
 * @property {string[]} healing
 * @property {string[]} unknown
 */

/**
 * What a service took on one day, and what it did not because it slept.
 * @typedef {object} PowerDay
 * @property {number} awake_h
 * @property {number} asleep_h
 * @property {number} cpu_s
 * @property {number} wh
 * @property {number} saved_ram_gb_h
 * @property {number} saved_wh
 * @property {boolean} estimated
 */

/**
 * A service that may sleep.
 * @typedef {object} Sleeper
 * @property {string} service
 * @property {string} state
 * @property {number} since seconds since 1970
 * @property {string} why
 * @property {boolean} pinned
 * @property {number | null} idle_s
 * @property {number | null} [idle_for_s]
 * @property {number} [slept_s]
 * @property {number | null} wake_estimate_s
 * @property {Record<string, PowerDay>} days by date
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
