/** The hashing kernel: BLAKE3 chaining values of chunk groups, subtrees and parents. The contract is in `kernel.ts`. */
import { createJsKernel } from './js.ts'
import type { Kernel } from './kernel.ts'
import { createWasmKernel, isWasmKernelSupported } from './wasm.ts'

export { createJsKernel } from './js.ts'
export * from './kernel.ts'
export { createWasmKernel, isWasmKernelSupported } from './wasm.ts'

/**
 * The process-wide kernel, chosen once when the module loads.
 *
 * Loading waits for the compiler, which takes a millisecond. It does not `await` it: V8 ends the process when a thread is ended
 * while a module that does so is being loaded (https://github.com/nodejs/node/issues/53238), and threads hash.
 */
export const kernel: Kernel = choose()

function choose(): Kernel {
  if (!isWasmKernelSupported()) return createJsKernel()
  try {
    return createWasmKernel()
  } catch (error) {
    if (error instanceof RangeError) return createJsKernel()
    throw error
  }
}
