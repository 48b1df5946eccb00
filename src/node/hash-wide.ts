/** How wide the vectors are in which V8 hashes. */
import { setFlagsFromString } from 'node:v8'
import { isWasmKernelSupported, useModule, wideModuleBytes } from '../bao/kernel/index.ts'

/**
 * Versions of V8 with which it has been tried: that of Node 24. That of 22 makes no such vectors. That of 26 would need another option
 * (`--no-wasm-inlining`), which cannot be set and unset while other threads run WebAssembly: V8 then ends the process.
 */
const TRIED = /^13\.6\./

/** Two vectors of 128 bits become one of 256; and all is compiled by the compiler that does so, now. */
const SET = ['--experimental-wasm-revectorize', '--no-liftoff', '--no-wasm-lazy-compilation']
/** As V8 has it by itself. */
const UNSET = ['--no-experimental-wasm-revectorize', '--liftoff', '--wasm-lazy-compilation']

/**
 * Has this process hash with vectors of 256 bits where the processor has them (AVX2), half as fast again. To be called once, at the
 * start. Threads that hash, and are started later, do so too.
 *
 * V8 makes them of what WebAssembly has, 128 bits, if it is told so by an option that it calls experimental. It is told for as long as
 * it takes to compile the kernel, 5 ms, so that nothing else in the process is compiled in that way; and the kernel is not
 * taken if it hashes wrongly then. After that the options are what they are by default, also where the command line said otherwise.
 *
 * @returns whether the kernel was compiled so. Not by versions of V8 with which it has not been tried: that of Node 24 only
 */
export function hashWide(): boolean {
  const module = compileWide()
  return module !== undefined && useModule(module)
}

/** @returns the kernel, compiled for wide vectors where the processor has them; undefined where that has not been tried */
export function compileWide(): WebAssembly.Module | undefined {
  if (!TRIED.test(process.versions.v8) || !isWasmKernelSupported()) return undefined
  for (const option of SET) setFlagsFromString(option)
  try {
    return new WebAssembly.Module(wideModuleBytes())
  } finally {
    for (const option of UNSET) setFlagsFromString(option)
  }
}
