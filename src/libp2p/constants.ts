/** Limits of the service, each the default of the option that is named after it. Times in ms. */

/**
 * Requests of one peer that are answered at the same time. Raising it lets one peer take more of the node; lowering it
 * makes getters of many small blobs wait.
 */
export const MAX_STREAMS_PER_PEER = 64

/** Requests that are answered at the same time in all. Each costs up to 6 MiB while it is being answered, all together not much
 * more than `RESPONSE_MEMORY_BYTES`. */
export const MAX_STREAMS = 512

/**
 * Observe requests among these, of one peer and in all. They rest for hours and cost little, but would take the places of those
 * who want data.
 */
export const MAX_OBSERVERS_PER_PEER = 8
export const MAX_OBSERVERS = 64

/**
 * Streams that libp2p lets one connection open before it resets further ones by itself. Above `MAX_STREAMS_PER_PEER`, so
 * that a peer that asks for a little too much is told to come back later.
 */
export const MAX_STREAMS_PER_CONNECTION = 256

/** How long a peer that is turned away because of these limits is told to wait. */
export const RETRY_AFTER_MS = 500

/** How often a getter that was told to wait asks again. */
export const MAX_BUSY_RETRIES = 20

/** Longest wait between two such tries, whatever the provider says. */
export const MAX_RETRY_AFTER_MS = 5_000

/** Within this time a request must have come, and the peer must have closed its side. */
export const REQUEST_TIMEOUT_MS = 30_000

/** Longest time during which no byte is taken, or sent, by the peer. Lowering it drops peers on bad links. */
export const IDLE_TIMEOUT_MS = 60_000

/** Longest time that one stream may take in all: a day, in which 1 TiB passes at 12 MiB/s. */
export const STREAM_TIMEOUT_MS = 24 * 60 * 60 * 1000

/** How long a getter waits for a connection and a stream. */
export const DIAL_TIMEOUT_MS = 15_000

/** How long a finished stream may stay half open until it is reset. */
export const CLOSE_GRACE_MS = 2_000

/** Children of a hash sequence that are looked up in the store, and asked for, at a time. */
export const CHILDREN_PER_REQUEST = 8_192

/** Ranges of chunks that are asked for at a time: their boundaries, and an entry for each child, are what a request may hold. */
export const RANGES_PER_REQUEST = 32_768

/**
 * Memory in bytes that the responses under way share for data they have read ahead. As long as there are few of them, each
 * reads 1 MiB at a time; when there are many, less.
 */
export const RESPONSE_MEMORY_BYTES = 128 * 1024 * 1024

/**
 * Children below this size in bytes are pushed without asking whether the peer has them: a question is a stream, and costs as
 * much as sending that many bytes.
 */
export const LOOK_FROM_BYTES = 64 * 1024

/** Questions that a pusher asks at the same time: half of what a provider answers to one peer, `MAX_OBSERVERS_PER_PEER`. */
export const LOOKS_AT_A_TIME = 4

/**
 * Pieces of a blob that are pushed by themselves, at most. A peer that says it has more of them gets the rest as a whole: it
 * decides what it says, and we hold it in memory.
 */
export const MAX_GAPS = 4_096
