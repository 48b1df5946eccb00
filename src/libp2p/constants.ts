/** Limits of the service, each the default of the option that is named after it. Times in ms. */

/** Most that a limit of time may be: timers wait no longer, and end at once what is to take longer. */
export const LONGEST_LIMIT_MS: number = 2 ** 31 - 1

/**
 * Requests of one peer that are answered at the same time. Raising it lets one peer take more of the node; lowering it
 * makes getters of many small blobs wait.
 */
export const MAX_STREAMS_PER_PEER = 64

/** Requests that are answered at the same time in all. Each costs up to 3 MiB while it is being answered, all together not much
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

/** Within this time a request must begin; and within it from then on, it must have come, and the peer must have closed its side. */
export const REQUEST_TIMEOUT_MS = 30_000

/** Longest time during which no byte is taken, or sent, by the peer. Lowering it drops peers on bad links. */
export const IDLE_TIMEOUT_MS = 60_000

/** Longest time that one stream may take in all: a day, in which 1 TiB passes at 12 MiB/s. */
export const STREAM_TIMEOUT_MS = 24 * 60 * 60 * 1000

/** How long a getter waits for a connection and a stream. */
export const DIAL_TIMEOUT_MS = 15_000

/**
 * Longest time without a byte from a provider while there are others to ask. Lowering it gives up on peers that only pause;
 * raising it makes the last pieces wait for those that are gone. For so long a peer may leave a piece of its response untaken, too, or
 * send nothing of a push, while others wait for its place: `MAX_STREAMS`.
 */
export const STALL_TIMEOUT_MS = 10_000

/** Fetches at a time; more of them share the same link, and each takes memory. Further ones wait in line. */
export const MAX_FETCHES = 16

/** Providers that one fetch asks at a time. Each costs two streams with up to 6 MiB; further ones are asked when some fail. */
export const MAX_PROVIDERS_PER_FETCH = 8

/** What is split among providers is a multiple of this, in bytes: a run, which all stores read and write in one go. */
export const PIECE_BYTES = 1024 * 1024

/**
 * How long one of several providers is to be busy with one request. Longer makes fewer requests; shorter leaves less to be
 * given to another one when it becomes slow.
 */
export const REQUEST_MS = 1_000

/** Longest time before the end of a response at which the next request is sent. */
export const LONGEST_LEAD_MS = 1_000

/** How often something is looked for that an idle provider could take over from a slow one. */
export const STEAL_INTERVAL_MS = 250

/** What does not win this time, in ms, is not worth to be taken over. */
export const WORTH_STEALING_MS = 500

/** Times, one after the other, that a provider may fail for a reason that may pass, such as a connection that was cut. */
export const PROVIDER_ATTEMPTS = 3

/** The pause after such a failure; twice as long after the second. */
export const PROVIDER_PAUSE_MS = 500

/** A peer that has sent wrong bytes this often, in whatever fetches, is asked only when nobody else can be. */
export const MISTRUSTED_AFTER = 3

/** Peers whose wrong bytes are remembered. */
export const MAX_MISBEHAVED_PEERS = 1_024

/** Blobs of which a provider is asked to tell what it has, at a time: fewer than `MAX_OBSERVERS_PER_PEER`. */
export const MAX_WATCHED_BLOBS = 4

/** Children that are looked up in the store at the same time. */
export const LOOKUPS_AT_ONCE = 32

/** How long a finished stream may stay half open until it is reset. */
export const CLOSE_GRACE_MS = 2_000

/** Children of a hash sequence that are looked up in the store, or pushed, at a time. */
export const CHILDREN_PER_REQUEST = 8_192

/** Children that a fetch asks for at a time. To plan a request for more of them would hold up the event loop. */
export const CHILDREN_PER_TASK = 2_048

/** Ranges of chunks that are asked for at a time: their boundaries, and an entry for each child, are what a request may hold. */
export const RANGES_PER_REQUEST = 32_768

/**
 * For what part of the idle timeout a peer may be silent, instead of agreeing once more to a protocol that it has agreed to on the same
 * connection: it does so before anybody looks at the request. After that it is asked as if it were the first time.
 */
export const AGREE_TIMEOUT_PART = 1 / 3

/** Requests of a connection follow one another when a pause between them is shorter than this. */
export const REQUESTS_FOLLOW_MS = 1_000

/**
 * So many requests that follow one another make another one likely, for which a stream is opened ahead. A collection is fetched with
 * fewer.
 */
export const REQUESTS_BEFORE_SPARE = 4

/** How long a stream is held open for the next request: well below `REQUEST_TIMEOUT_MS`, after which providers give it up. */
export const SPARE_STREAM_MS = 2_000

/**
 * How long the consent to a stream waits for the response to a request that came in the same breath, in ms: longer than a server nearby
 * takes for a small read. So long may somebody else have to wait who offers a stream just then, and asks only when it is agreed on.
 */
export const CONSENT_WAIT_MS = 10

/**
 * Streams on which the request has not come in full are counted apart, as many as there may be requests, and these more for each peer. A
 * getter has one for each connection on which nothing has been asked yet.
 */
export const MAX_SPARE_STREAMS_PER_PEER = 4

/**
 * Memory in bytes that the responses under way share for data they have read ahead. As long as there are few of them, each
 * reads 512 KiB at a time; when there are many, less.
 */
export const RESPONSE_MEMORY_BYTES = 160 * 1024 * 1024

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
