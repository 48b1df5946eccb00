/** Names and limits of the protocol (protocol/README.md). */

/** The blob protocol of iroh-blobs, byte for byte: requests and responses, no status. */
export const IROH_PROTOCOL = '/iroh-bytes/4'

/** The same requests and responses, with one status in front of the response. */
export const BLOBS_PROTOCOL = '/libp2p-blobs/1.0.0'

/** Longest request, in bytes: what we send in all, and what we accept after the byte that tells the type (1 MiB). */
export const MAX_REQUEST_BYTES = 1024 * 1024

/**
 * Most numbers in the ranges of one request: boundaries, and entries of a ranges sequence. A request of 1 MiB could hold eight
 * times as many, and would cost its reader 40 MB.
 */
export const MAX_REQUEST_NUMBERS = 131_072

/** Longest item of an Observe response, in bytes after its length (1 MiB). */
export const MAX_OBSERVE_ITEM_BYTES = 1024 * 1024

/** Longest message after a status, in bytes of UTF-8. */
export const MAX_STATUS_MESSAGE_BYTES = 1024

/** Longest wait that a `busy` status can name, in ms (u32). */
export const MAX_RETRY_AFTER_MS = 0xffff_ffff

/** Largest metadata blob of a collection that we read or make, in bytes (16 MiB: about half a million names). */
export const MAX_COLLECTION_META_BYTES = 16 * 1024 * 1024

/** Longest segment of a file name, in bytes of UTF-8: what common file systems allow. */
export const MAX_SEGMENT_BYTES = 255

/** Longest name of a file with all its directories, in bytes of UTF-8: what common systems allow as a path. */
export const MAX_NAME_BYTES = 4096

/** Longest ticket, in characters. */
export const MAX_TICKET_CHARS = 32 * 1024

/** Longest peer id in a ticket, in bytes of its multihash. */
export const MAX_TICKET_PEER_BYTES = 128

/** Most addresses in a ticket. */
export const MAX_TICKET_ADDRS = 32

/** Longest address in a ticket, in bytes of its binary form. */
export const MAX_TICKET_ADDR_BYTES = 512
