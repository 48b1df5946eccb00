/** How soon V8 optimizes. */
import { setFlagsFromString } from 'node:v8'

/** Calls of a function, or as much work in its loops, before V8's second optimizing compiler has a look at it: by itself, 3000. */
const CALLS = 300_000

/** The first major version of V8 whose first optimizing compiler is in use everywhere: that of Node 24. */
const LEAST_V8 = 13

/**
 * Has V8 leave functions to its first optimizing compiler (Maglev) for longer, before the second (TurboFan) compiles them again. To be
 * called once, at the start; it holds for the whole process, so it is the program's to decide, not a library's. WebAssembly, which
 * hashes, is not touched. Does nothing in Node 22, where the first one is not in use.
 *
 * A transfer's JavaScript is a wide and flat mixture that passes bytes on, some thousand calls of each function for half a gigabyte. In
 * the first seconds the second compiler takes a tenth of all CPU, in threads that compete with the transfer, and some MiB of memory;
 * what it makes of that code is hardly faster. A process that lives on has it in the end.
 */
export function optimizeLate(): void {
  if (Number.parseInt(process.versions.v8, 10) < LEAST_V8) return
  setFlagsFromString(`--invocation-count-for-turbofan=${CALLS}`)
}
