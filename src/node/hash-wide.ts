/** How wide the vectors are in which V8 hashes. */
import { setFlagsFromString } from 'node:v8'
import { isWasmKernelSupported, useModule, wideModuleBytes } from '../bao/kernel/index.ts'

/**
 * Versions of V8 with which it has been tried: those of Node 24 and 26. That of 22 makes no such vectors; another may end the process
 * over options that have never been set together before.
 */
const TRIED = /^(13|14)\.6\./

/**
 * The compiler that makes wide vectors inlines by what the other one has seen, without which it cannot do so in Node 26. That of Node 24
 * can; there this stays as it is: a thread that calls a function of WebAssembly for the first time meanwhile ends the process.
 */
const INLINES_BLINDLY = process.versions.v8.startsWith('13.')

/** Two vectors of 128 bits become one of 256; and all is compiled by the compiler that does so, now. */
const SET = ['--experimental-wasm-revectorize', '--no-liftoff', '--no-wasm-lazy-compilation']
/** As V8 has it by itself. */
const UNSET = ['--no-experimental-wasm-revectorize', '--liftoff', '--wasm-lazy-compilation']

if (!INLINES_BLINDLY) {
  SET.push('--no-wasm-inlining')
  UNSET.push('--wasm-inlining')
}

/**
 * Has this process hash with vectors of 256 bits where the processor has them (AVX2), half as fast again. To be called once, at the
 * start: in Node 26, V8 may end the process when another thread runs WebAssembly meanwhile. Threads that hash, and are started later,
 * do so too.
 *
 * V8 makes them of what WebAssembly has, 128 bits, if it is told so by an option that it calls experimental. It is told for as long as
 * it takes to compile the kernel, 5 ms, so that nothing else in the process is compiled in that way; and the kernel is not
 * taken if it hashes wrongly then.
 *
 * @returns whether the kernel was compiled so. Not by versions of V8 with which it has not been tried: those of Node 24 and 26 only
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
