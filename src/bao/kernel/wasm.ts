/** The kernel in WebAssembly: copies bytes in and out of the module's memory; the work is in `assembly/kernel.ts`. */
import { CV_BYTES, PAIR_BYTES, RUN_BYTES } from '../constants.ts'
import { checkParent, checkSubtree, checkVerify, pairsBytes } from './check.ts'
import { CARRY_BYTES, JOB_WORDS, type Kernel, MAX_INPUT_BYTES, MAX_JOBS } from './kernel.ts'
import { KERNEL_WASM_BASE64, WIDE_KERNEL_WASM_BASE64 } from './kernel-wasm.ts'

const TWO_32 = 2 ** 32
const NOTHING = new Uint8Array(0)
const MAX_PAIRS_BYTES = pairsBytes(RUN_BYTES)

/** The module's exports. Globals are addresses in its memory. */
interface Exports {
  readonly memory: WebAssembly.Memory
  readonly INPUT: WebAssembly.Global<'i32'>
  readonly CARRY: WebAssembly.Global<'i32'>
  readonly JOBS: WebAssembly.Global<'i32'>
  readonly PAIRS: WebAssembly.Global<'i32'>
  readonly PARENT_PAIR: WebAssembly.Global<'i32'>
  readonly RESULT: WebAssembly.Global<'i32'>
  verify(count: number): number
  subtree(length: number, chunkLow: number, chunkHigh: number, isRoot: number, withPairs: number): void
  parent(isRoot: number): void
}

const moduleBytes = fromBase64(KERNEL_WASM_BASE64)
let compiled: WebAssembly.Module | undefined

/** Whether this engine has WebAssembly with SIMD. */
export function isWasmKernelSupported(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(moduleBytes)
}

/**
 * The module in the form that V8 makes vectors of 256 bits of, if it is told to while it compiles it. By itself it hashes the same, a
 * tenth more slowly.
 */
export function wideModuleBytes(): Uint8Array<ArrayBuffer> {
  return fromBase64(WIDE_KERNEL_WASM_BASE64)
}

/**
 * A kernel with memory of its own (1.4 MiB).
 *
 * @param module compiled of one of the forms. By default of the narrow one, which is compiled once
 * @throws WebAssembly.CompileError where {@link isWasmKernelSupported} is false; RangeError on the main thread of browsers that compile no
 * more than 4 KiB while all else waits, as old versions of Chromium
 */
export function createWasmKernel(module?: WebAssembly.Module): Kernel {
  const { exports } = new WebAssembly.Instance(module ?? narrowModule())
  // The module's exports are what assembly/kernel.ts declares; the engine types them as unknown.
  return new WasmKernel(exports as unknown as Exports)
}

function narrowModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(moduleBytes)
  return compiled
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), char => char.charCodeAt(0))
}

class WasmKernel implements Kernel {
  readonly name = 'wasm-simd'
  readonly #exports: Exports
  // Views of the module's memory. It never grows, so they stay attached.
  readonly #input: Uint8Array
  readonly #carry: Uint8Array
  readonly #jobs: Uint32Array
  readonly #pairs: Uint8Array
  readonly #parentPair: Uint8Array
  readonly #result: Uint8Array

  constructor(exports: Exports) {
    const { buffer } = exports.memory
    this.#exports = exports
    this.#input = new Uint8Array(buffer, exports.INPUT.value, MAX_INPUT_BYTES)
    this.#carry = new Uint8Array(buffer, exports.CARRY.value, CARRY_BYTES)
    this.#jobs = new Uint32Array(buffer, exports.JOBS.value, MAX_JOBS * JOB_WORDS)
    this.#pairs = new Uint8Array(buffer, exports.PAIRS.value, MAX_PAIRS_BYTES)
    this.#parentPair = new Uint8Array(buffer, exports.PARENT_PAIR.value, PAIR_BYTES)
    this.#result = new Uint8Array(buffer, exports.RESULT.value, CV_BYTES)
  }

  verify(input: Uint8Array, carry: Uint8Array, jobs: Uint32Array, count: number, more = NOTHING): number {
    checkVerify(input, carry, jobs, count, more)
    this.#input.set(input)
    this.#input.set(more, input.length)
    this.#carry.set(carry)
    this.#jobs.set(jobs.length === count * JOB_WORDS ? jobs : jobs.subarray(0, count * JOB_WORDS))
    return this.#exports.verify(count)
  }

  subtree(data: Uint8Array, firstChunk: number, isRoot: boolean, cv: Uint8Array, pairs?: Uint8Array): void {
    checkSubtree(data, firstChunk, cv, pairs)
    this.#input.set(data)
    this.#exports.subtree(
      data.length,
      firstChunk % TWO_32,
      Math.floor(firstChunk / TWO_32),
      isRoot ? 1 : 0,
      pairs === undefined ? 0 : 1
    )
    cv.set(this.#result)
    pairs?.set(this.#pairs.subarray(0, pairsBytes(data.length)))
  }

  parent(pair: Uint8Array, isRoot: boolean, cv: Uint8Array): void {
    checkParent(pair, cv)
    this.#parentPair.set(pair)
    this.#exports.parent(isRoot ? 1 : 0)
    cv.set(this.#result)
  }
}
