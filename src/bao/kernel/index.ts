/** The hashing kernel: BLAKE3 chaining values of chunk groups, subtrees and parents. The contract is in `kernel.ts`. */
import { createJsKernel } from './js.ts'
import type { Kernel } from './kernel.ts'

export { createJsKernel } from './js.ts'
export * from './kernel.ts'

/** The process-wide kernel, chosen once when the module loads. */
export const kernel: Kernel = createJsKernel()
