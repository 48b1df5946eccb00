/** Limits of reading out of object storage, each with its reason. */

const KIB = 1024
const MIB = 1024 * 1024

/** Memory for read-ahead is cut into blocks of so many bytes, which are used again. What is smaller by half is made anew. */
export const BLOCK_BYTES = MIB

/**
 * Bytes that all readers of a store together may hold read ahead. Six at full speed, many more at a lower one; it leaves
 * most of 400 MiB to the rest of a node.
 */
export const READ_BUDGET_BYTES = 96 * MIB

/** Blocks that are kept while nobody needs them. */
export const MOST_FREE_BLOCKS = 32

/**
 * A reader from which nothing was read for so many milliseconds loses what it has read ahead when others need the memory:
 * peers that have stopped to take their data must not slow down those that go on.
 */
export const IDLE_MS = 2000

/**
 * Bytes of the first GET of a read-ahead; each following one is twice as long. So little is fetched in vain for a peer that
 * leaves soon.
 */
export const FIRST_PIECE_BYTES = MIB

/** The same where it is a guess that reading goes on. */
export const FIRST_GUESSED_BYTES = 256 * KIB

/** Bytes of a GET of the read-ahead at most: long enough that what a request costs does not count. */
export const MOST_PIECE_BYTES = 8 * MIB

/** GETs that a reader has ahead: one is being consumed while the next one arrives. */
export const PIECES_AHEAD = 2

/** Where the pieces are small, because what is wanted is scattered, there may be so many, of so many bytes together. */
export const SMALL_PIECES_AHEAD = 8
export const SMALL_PIECES_BYTES = 2 * MIB

/** GETs at once of one reader besides the read-ahead. A batch of the encoder may want 64 groups far apart. */
export const DIRECT_READS = 8

/** Bytes between two wanted spans that are rather fetched than left out: they cost less than a request. */
export const GAP_BYTES = 256 * KIB

/** Bytes of a page of the outboard cache: the outboard of 16 MiB of data. */
export const PAGE_BYTES = 64 * KIB

/** Bytes of outboard that a store keeps: that of 8 GiB of data. */
export const OUTBOARD_CACHE_BYTES = 32 * MIB

/** What a page costs besides its bytes, about: small outboards are mostly this. */
export const PAGE_COST_BYTES = KIB

/** Pages that are fetched before they are asked for where the outboard is read in order. */
export const PAGES_AHEAD = 4

/**
 * Bytes between two missing pages that are rather fetched than left out. With so many, the path from the root to any leaf of
 * an 8 GiB blob takes six GETs at most.
 */
export const PAGE_GAP_BYTES = 512 * KIB

/** Bytes of one GET of the outboard cache at most, and how many of them a store has under way. */
export const MOST_OUTBOARD_GET_BYTES = MIB
export const OUTBOARD_GETS = 16
