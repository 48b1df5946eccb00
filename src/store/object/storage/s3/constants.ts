/** Limits of S3, and how this backend uses it, with their reasons. */

const MIB = 2 ** 20
const GIB = 2 ** 30

/** Keys that one request may delete, and that one page of a list has. */
export const PAGE_KEYS = 1000

/** The most that S3 copies in one request. */
export const MAX_COPY_BYTES = 5 * GIB

/** What is copied by one request into a part: small enough that a server answers soon. */
export const COPY_PART_BYTES = GIB

/** Requests that copy, or give up uploads, at once. */
export const SIDE_REQUESTS = 8

/**
 * Sockets at most. More than a busy node has transfers, fewer than would make a server or a firewall suspicious; who comes
 * later waits for one.
 */
export const MAX_SOCKETS = 64

/** Sockets that nobody uses are closed after this time, before most servers and firewalls would. */
export const SOCKET_IDLE_MS = 30_000

/** How long the connection may take, TLS included. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

/** How long a request waits for a server that neither takes nor sends a byte. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000

/** Copying and putting parts together are work of the server, during which some send nothing: these wait so much longer. */
export const WORK_TIMEOUT_FACTOR = 10

/** How long, from its first failure on, a request is tried again. Enough for a server to be started again. */
export const DEFAULT_RETRY_MS = 30_000

/** At the start somebody waits for an answer, and a wrong address is likelier than a server that is being started. */
export const OPEN_RETRY_MS = 3_000

/**
 * How long giving up an upload may take, other tries included. It comes after a failure or after Ctrl-C, when the server may be
 * silent and somebody waits for the end; what is left behind is swept later.
 */
export const ABORT_MS = 2_000

/** The wait before another try is random between nothing and a bound, which begins here and doubles with each failure … */
export const FIRST_BACKOFF_MS = 100

/** … up to here. */
export const MAX_BACKOFF_MS = 2_000

/** A body goes to the socket in pieces of this size, so that it can be seen that the server takes some. */
export const WRITE_BYTES = 256 * 1024

/** What is received before the consumer asks for it; then the server has to wait. */
export const QUEUE_BYTES = 256 * 1024

/** A read whose consumer takes nothing for this time gives its socket back, and asks anew for what is left. */
export const PARK_MS = 10_000

/** The longest answer that is read into memory: a page of 1,000 of the longest keys has less than a third of it. */
export const MAX_ANSWER_BYTES = 16 * MIB

/** The longest answer that says what went wrong; of longer ones the beginning is looked at. */
export const MAX_ERROR_BYTES = 64 * 1024

/** Objects up to this size go with a checksum that the server checks; of larger ones it would take the event loop too long. */
export const CHECKSUM_BYTES = 256 * 1024

/**
 * How long a signature for reading an object is used. Servers take one for 15 minutes; what is left of these is for clocks that
 * differ, as with a signature that is used once.
 */
export const SIGNED_MS = 60_000

/** Objects for which one is kept. Each takes about 1 KiB. */
export const MOST_SIGNED = 1_000

/** The longest of the server's own words that goes into a message. */
export const MAX_QUOTE_CHARS = 200
