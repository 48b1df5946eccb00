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
 * Loading waits for the compiler: browsers limit the size of what may be compiled synchronously on their main thread, and
 * if every caller had to wait for a kernel instead, hashing could not be synchronous anywhere.
 */
export const kernel: Kernel = isWasmKernelSupported() ? await createWasmKernel() : createJsKernel()
