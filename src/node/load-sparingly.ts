/** How much memory V8 takes while modules are loaded. */
import { setFlagsFromString } from 'node:v8'

/**
 * By how many percent V8's heap may grow between two looks through all of it. With 50 as little memory is taken, but a transfer that begins
 * right after is in the way of one more look.
 */
const GROWTH_PERCENT = 100

/**
 * Has V8 look for garbage more often while `load` runs, which imports what a program needs at its start. It holds for the whole process,
 * so nothing that lasts, or passes many bytes on, should run at the same time.
 *
 * What is made to load a thousand modules is garbage soon after, but V8 lets a heap as small as that grow to 2.4 times its size before it
 * looks, and what it has once taken it keeps: 3 MiB of a node that serves. It costs two or three looks of a few ms. In a transfer it would
 * cost half as much CPU again, so it must have an end.
 */
export async function loadSparingly<T>(load: () => Promise<T>): Promise<T> {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`)
  try {
    return await load()
  } finally {
    // V8 decides again, as it does by default.
    setFlagsFromString('--heap-growing-percent=0')
  }
}
