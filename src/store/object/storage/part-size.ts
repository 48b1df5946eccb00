/** How objects are cut into parts. The limits are S3's; every backend keeps them, so that what works on one works on all. */

const MIB = 1024 * 1024

/** Fewest bytes of a part, or of a slice that is composed, unless it is the last. */
export const MIN_PART_BYTES = 5 * MIB

/** Most parts of an object, and most slices that one is composed of. */
export const MAX_PARTS = 10_000

/** Most bytes that are put in one piece. */
export const MAX_PUT_BYTES = 16 * MIB

/**
 * Bytes of a part where the size lets us choose. Larger ones take more memory, of which there is one for each part in
 * flight; smaller ones more requests.
 */
export const PART_BYTES = 8 * MIB

/** Bytes per part of an object of `size` bytes: 8 MiB, or so many MiB more that there are no more than 10,000 parts. */
export function partBytesFor(size: number): number {
  return Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS / MIB) * MIB)
}
