/** How soon V8 looks for garbage. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/**
 * The space for new objects, in bytes: twice what is made in it before V8 looks through it. What is held while it looks is copied, or is
 * taken for old the second time, so with less it has more to do; with more, all of it is in memory once it was used, for good.
 */
const NEW_SPACE_BYTES = 4 * 1024 * 1024

/** Memory that is filled to have it grow, at most, and how much at a time, in objects of 8 KiB. */
const MOST_FILLED = 2048
const FILLED_AT_A_TIME = 32

/**
 * Has V8 look for short-lived garbage sooner than it does by itself. To be called once, at the start, before much is loaded; it holds for
 * the whole process, so it is the program's to decide, not a library's. One that makes millions of lasting objects of its own makes
 * them more slowly, in 1.2 to 1.8 times as long: each is looked at, and moved, twice within a few MiB.
 *
 * Each piece of a libp2p stream passes through several buffers of tens of KiB. They are garbage at once, but their objects are
 * tiny: the space for new objects, which is looked through when it is nearly full, holds hundreds of MiB worth of them. Before
 * that, V8 finds that too much memory is in use, and marks the whole heap, some twenty times a second, in threads that compete
 * with the transfer. With a small space that is looked through often, a transfer costs 40 % less CPU and 65 MiB less memory
 * (`bench/transfer.ts`, 512 MiB from disk to disk: 1.4 times as fast, as is the bare libp2p stream).
 *
 * Three more things are changed:
 * - That space stays as it is. V8 would double it while modules are loaded, and again in a transfer, up to 64 MiB.
 * - It is looked through in one thread: little of what is there is still in use, and to wait for other threads, on cores that the transfer
 *   keeps busy, takes longer than the work.
 * - All objects are made there. Who looks often finds many still in use, and V8 concludes that what is made in such a place lasts: then it
 *   goes to the old objects at once, and keeps there whatever it refers to, up to 15 MiB for each GiB of a transfer.
 */
export function collectGarbageEarly(): void {
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-allocation-site-pretenuring')
  growNewSpace()
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** V8 takes the size of the space as an option only before it starts. Later it grows with what is held in it. */
function growNewSpace(): void {
  const held: unknown[] = []
  while (newSpaceBytes() < NEW_SPACE_BYTES && held.length < MOST_FILLED) {
    for (let i = 0; i < FILLED_AT_A_TIME; i++) held.push(new Array(1024).fill(0))
  }
}

function newSpaceBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0
}
