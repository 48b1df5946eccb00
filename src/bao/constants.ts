/** Sizes fixed by BLAKE3 and by the blob protocol (protocol/README.md, "The tree"). */

/** Bytes in a chunk: the leaf of BLAKE3's tree and the unit of all ranges. */
export const CHUNK_BYTES = 1024

/** Chunks in a chunk group: the smallest subtree whose inner nodes are neither stored nor sent. */
export const GROUP_CHUNKS = 16

/** Bytes in a chunk group. */
export const GROUP_BYTES = CHUNK_BYTES * GROUP_CHUNKS

/** Bytes in a chaining value, and in a hash. */
export const CV_BYTES = 32

/** Bytes in a parent node: left chaining value, right chaining value. */
export const PAIR_BYTES = 2 * CV_BYTES

/** Groups in a run: the subtree that is hashed, read and written in one go. */
export const RUN_GROUPS = 64

/** Bytes in a run (1 MiB). */
export const RUN_BYTES = GROUP_BYTES * RUN_GROUPS

/** Chunks in a run. */
export const RUN_CHUNKS = GROUP_CHUNKS * RUN_GROUPS

/** Largest blob size in bytes that we handle: sizes are JS numbers, the wire has u64. */
export const MAX_BLOB_BYTES = Number.MAX_SAFE_INTEGER
