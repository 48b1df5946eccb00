/** How much of small blobs may lie in journals as well. */

const MIB = 1024 * 1024

/**
 * Whose files have not been written by the system yet, has to be waited for one by one, which takes several times as long as all else
 * that is done for a blob. A GiB of journals is what comes in until then, where blobs have a few KiB each.
 */
const MOST_BYTES = 1024 * MIB

/** Where the disk has little room, a part of what is free; and what it was always to have room for. */
const PART_OF_FREE = 1 / 16
const LEAST_BYTES = 256 * MIB

/**
 * @param free bytes that the disk has room for
 * @returns bytes of journals after which the oldest is retired, whether the system has written its blobs' files or not
 */
export function mostJournalBytes(free: number): number {
  return Math.min(MOST_BYTES, Math.max(LEAST_BYTES, free * PART_OF_FREE))
}
