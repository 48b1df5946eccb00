/** What is fixed about the transport, with the reasons. */

/** The libp2p TLS handshake in multistream-select. */
export const TLS_PROTOCOL = '/tls/1.0.0'

/** ALPN protocol of libp2p, for peers that do not settle the stream muxer within the handshake. */
export const LIBP2P_ALPN = 'libp2p'

/** The certificate extension that carries the host key: libp2p TLS specification, "libp2p Public Key Extension". */
export const LIBP2P_EXTENSION_OID = '1.3.6.1.4.1.53594.1.1'

/** What the host key signs, before the certificate's public key. */
export const SIGNATURE_PREFIX = 'libp2p-tls-handshake:'

/** Longest time in ms for a TLS handshake whose caller gives no signal. libp2p gives one, of 10 s by default as well. */
export const HANDSHAKE_TIMEOUT_MS = 10_000

/** Age in ms that a new certificate pretends to have, so that it is valid for peers whose clock is behind. */
export const CERTIFICATE_BACKDATE_MS = 24 * 60 * 60 * 1000

/** How long a certificate is valid, in ms. It dies with its process; a century as in go-libp2p, which costs nothing. */
export const CERTIFICATE_LIFETIME_MS = 100 * 365 * 24 * 60 * 60 * 1000

/**
 * Longest certificate in bytes: one of RSA keys of 8192 bits has about 3 KB. The time to decode an identifier grows with the square
 * of its length, and TLS would take a certificate of 100 KB.
 */
export const MAX_CERTIFICATE_BYTES = 16_384

/** Of a certificate, nested values deeper than this are not libp2p's. */
export const MAX_CERTIFICATE_DEPTH = 16

/** Of a certificate, more values than this are not libp2p's: about 40 are usual. */
export const MAX_CERTIFICATE_NODES = 1_000

/**
 * Buffer for the reads of a dialled socket. Below 64 KiB there are more reads than Node has by itself. It costs memory only as far as
 * it was ever filled.
 */
export const READ_BYTES = 256 * 1024

/** What comes out of TLS goes up at once when it is this many bytes. More would have the windows of streams granted in bursts. */
export const GATHERED_BYTES = 256 * 1024

/** So does what is in this many pieces: the muxer's time grows with the square of their number, and a record may be a single byte. */
export const GATHERED_PIECES = 256
