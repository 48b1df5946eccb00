/** What is fixed about noise in libp2p, with the sources. */

/** libp2p noise specification, "Wire format": a message is preceded by its length, big endian. */
export const LENGTH_BYTES = 2

/** Noise protocol, section 3, "Message format". */
export const MAX_MESSAGE_BYTES = 65_535

/** What ChaCha20-Poly1305 adds to a message. */
export const TAG_BYTES = 16

/** Most that is sent in one message. */
export const MAX_CONTENT_BYTES = MAX_MESSAGE_BYTES - TAG_BYTES

/** Noise protocol, section 12.3: the nonce is 32 bits of zeros and a number of 64 bits, little endian. */
export const NONCE_BYTES = 12
export const NONCE_NUMBER_AT = 4

/** What was decrypted goes up at once when it is this many bytes. More would have the windows of streams granted in bursts. */
export const GATHERED_BYTES = 256 * 1024

/**
 * When what arrives in one go, or of one message, comes out of the cipher in more pieces than this, they are copied together: a peer
 * that sends byte by byte would make each of them take hundreds, and the muxer's time grow with the square of their number.
 */
export const MOST_PIECES = 64
