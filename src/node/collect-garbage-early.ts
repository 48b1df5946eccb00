/** How soon V8 looks for garbage. */
import { setFlagsFromString } from 'node:v8'

/** Percent of the space for new objects that may be in use before V8 looks through it. */
const TRIGGER_PERCENT = 10

/**
 * Has V8 look for short-lived garbage sooner than it does by itself. To be called once, at the start; it holds for the whole
 * process, so it is the program's to decide, not a library's.
 *
 * Each piece of a libp2p stream passes through several buffers of tens of KiB. They are garbage at once, but their objects are
 * tiny: the space for new objects, which is looked through when it is nearly full, holds hundreds of MiB worth of them. Before
 * that, V8 finds that too much memory is in use, and marks the whole heap, some twenty times a second, in threads that compete
 * with the transfer. Looking early, often and only at what is new, a transfer costs 40 % less CPU and 50 MiB less memory
 * (`bench/transfer.ts`, 512 MiB from disk to disk: 1.4 times as fast, as is the bare libp2p stream).
 */
export function collectGarbageEarly(): void {
  setFlagsFromString(`--minor-gc-task-trigger=${TRIGGER_PERCENT}`)
}
