/** The hashing kernel: BLAKE3 chaining values of chunk groups, subtrees and parents. The contract is in `kernel.ts`. */
import { createJsKernel } from './js.ts'
import type { Kernel } from './kernel.ts'
import { isRight } from './self-check.ts'
import { createWasmKernel, isWasmKernelSupported } from './wasm.ts'

export { createJsKernel } from './js.ts'
export * from './kernel.ts'
export { createWasmKernel, isWasmKernelSupported, wideModuleBytes } from './wasm.ts'

/**
 * The process-wide kernel, chosen when the module loads; each thread has its own.
 *
 * Loading waits for the compiler, which takes a millisecond. It does not `await` it: V8 ends the process when a thread is ended
 * while a module that does so is being loaded (https://github.com/nodejs/node/issues/53238), and threads hash.
 */
export let kernel: Kernel = choose()

/** What {@link useModule} was given, for other threads. */
export let kernelModule: WebAssembly.Module | undefined

/**
 * Has `kernel` hash with what the module was compiled to from now on.
 *
 * @param module compiled of what {@link wideModuleBytes} gives
 * @returns whether it does: not if that gives wrong hashes, or there is no memory for it
 */
export function useModule(module: WebAssembly.Module): boolean {
  const candidate = attempt(module)
  if (candidate === undefined || !isRight(candidate)) return false
  kernel = candidate
  kernelModule = module
  return true
}

function choose(): Kernel {
  return (isWasmKernelSupported() ? attempt() : undefined) ?? createJsKernel()
}

/** @returns undefined where there is no memory for it, and in some browsers: see {@link createWasmKernel} */
function attempt(module?: WebAssembly.Module): Kernel | undefined {
  try {
    return createWasmKernel(module)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
