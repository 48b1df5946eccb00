/** How soon V8 looks for garbage. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Percent of the space for new objects that may be in use before V8 looks through it. */
const TRIGGER_PERCENT = 10

/** The space for new objects is large enough, in bytes: V8 would double it again, and again fill all of it before it looks. */
const ENOUGH_BYTES = 32 * 1024 * 1024

/** How often is looked how large it is, in ms. It grows while modules are loaded, and in the first moments of a transfer. */
const LOOK_MS = 50

/**
 * Has V8 look for short-lived garbage sooner than it does by itself. To be called once, at the start; it holds for the whole
 * process, so it is the program's to decide, not a library's.
 *
 * Each piece of a libp2p stream passes through several buffers of tens of KiB. They are garbage at once, but their objects are
 * tiny: the space for new objects, which is looked through when it is nearly full, holds hundreds of MiB worth of them. Before
 * that, V8 finds that too much memory is in use, and marks the whole heap, some twenty times a second, in threads that compete
 * with the transfer. Looking early, often and only at what is new, a transfer costs 40 % less CPU and 50 MiB less memory
 * (`bench/transfer.ts`, 512 MiB from disk to disk: 1.4 times as fast, as is the bare libp2p stream).
 *
 * And has it keep the space for new objects as it is once that is large enough: another 8 MiB. And look through it in one thread: little
 * of what is there is still in use, and to wait for other threads, on cores that the transfer keeps busy, takes longer than the work.
 *
 * And has it make all objects there, whatever it has seen (`allocation-site-pretenuring`). Who looks early finds many still in use, and V8
 * concludes that what is made in such a place lasts: then it goes to the old objects at once, and keeps there whatever it refers to. In one
 * of two transfers a getter had 15 MiB more for each GiB in this way, until V8 marked the whole heap.
 */
export function collectGarbageEarly(): void {
  setFlagsFromString(`--minor-gc-task-trigger=${TRIGGER_PERCENT}`)
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-allocation-site-pretenuring')
  const look = setInterval(() => {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if (space !== undefined && space.space_size < ENOUGH_BYTES) return
    clearInterval(look)
    setFlagsFromString('--semi-space-growth-factor=1')
  }, LOOK_MS)
  look.unref()
}
