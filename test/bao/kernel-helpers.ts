/** What the kernel tests share: the kernels, test bytes, and tables of verify jobs for a whole subtree. */
import {
  CARRY_BYTES,
  createJsKernel,
  createWasmKernel,
  FLAG_PARENT,
  FLAG_ROOT,
  JOB_WORDS,
  type Kernel,
  wideModuleBytes
} from '../../src/bao/kernel/index.ts'
import { compileWide } from '../../src/node/hash-wide.ts'
import { parentCv, subtreeCv } from './oracle.ts'

export const GROUP = 16_384
export const RUN = 1_048_576

const wideModule = compileWide()

/** All kernels, for `describe.each`. */
export const KERNELS: readonly { readonly form: string; readonly kernel: Kernel }[] = [
  { form: 'WebAssembly', kernel: createWasmKernel() },
  { form: 'JavaScript', kernel: createJsKernel() },
  {
    form: 'WebAssembly for wide vectors, without them',
    kernel: createWasmKernel(new WebAssembly.Module(wideModuleBytes()))
  },
  ...(wideModule === undefined ? [] : [{ form: 'WebAssembly, wide', kernel: createWasmKernel(wideModule) }])
]

/** The bytes of the golden vectors: byte i is `(i * 167 + (i >> 8) * 13) & 255`. */
export function patternBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 167 + (i >> 8) * 13)
}

/** A copy of `bytes` that starts at an odd address. */
export function unaligned(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length + 1).subarray(1)
  copy.set(bytes)
  return copy
}

export function subtreeOf(kernel: Kernel, data: Uint8Array, firstChunk = 0, isRoot = true): Uint8Array {
  const cv = new Uint8Array(32)
  kernel.subtree(data, firstChunk, isRoot, cv)
  return cv
}

export function pairsOf(kernel: Kernel, data: Uint8Array, firstChunk = 0): Uint8Array {
  const pairs = new Uint8Array(64 * (Math.max(1, Math.ceil(data.length / GROUP)) - 1))
  kernel.subtree(data, firstChunk, false, new Uint8Array(32), pairs)
  return pairs
}

/** One call of `verify`, and where each job's bytes lie. */
export interface Call {
  readonly input: Uint8Array
  readonly carry: Uint8Array
  readonly jobs: Uint32Array
  readonly count: number
}

/** A node to be checked: its bytes, and what it must hash to. */
export interface Node {
  readonly bytes: Uint8Array
  readonly isParent: boolean
  readonly isRoot: boolean
  /** Of a leaf. */
  readonly firstChunk: bigint
  readonly expected: Uint8Array
}

export function leafNode(bytes: Uint8Array, firstChunk: bigint, isRoot: boolean): Node {
  return { bytes, isParent: false, isRoot, firstChunk, expected: subtreeCv(bytes, firstChunk, isRoot) }
}

export function parentNode(bytes: Uint8Array, isRoot: boolean): Node {
  const expected = parentCv(bytes.subarray(0, 32), bytes.subarray(32), isRoot)
  return { bytes, isParent: true, isRoot, firstChunk: 0n, expected }
}

/** A call that checks unrelated nodes: each one's expected value lies in the input, directly behind its bytes. */
export function callOfNodes(nodes: readonly Node[]): Call {
  const input = new Uint8Array(nodes.reduce((length, { bytes }) => length + bytes.length + 32, 0))
  const jobs: number[] = []
  let at = 0
  for (const { bytes, isParent, isRoot, firstChunk, expected } of nodes) {
    input.set(bytes, at)
    input.set(expected, at + bytes.length)
    jobs.push(...job(isParent, isRoot, at, bytes.length, firstChunk, CARRY_BYTES + at + bytes.length))
    at += bytes.length + 32
  }
  return { input, carry: new Uint8Array(CARRY_BYTES), jobs: Uint32Array.from(jobs), count: nodes.length }
}

/**
 * A call that checks a whole subtree as it comes over the wire: pairs and groups in pre-order. The subtree's own chaining
 * value lies at `carryOffset` in `carry`, all others in the pairs before.
 *
 * @param prefix bytes in the input before the first node
 */
export function callOfSubtree(
  data: Uint8Array,
  firstChunk: bigint,
  isRoot: boolean,
  carryOffset = 0,
  prefix = 0
): Call {
  const parts: Uint8Array[] = [new Uint8Array(prefix)]
  const jobs: number[] = []
  let at = prefix
  const visit = (start: number, end: number, isTop: boolean, expected: number): void => {
    const bytes = data.subarray(start, end)
    const chunk = firstChunk + BigInt(start / 1024)
    const isParent = bytes.length > GROUP
    const here = at
    if (!isParent) {
      parts.push(bytes)
      at += bytes.length
      jobs.push(...job(false, isTop, here, bytes.length, chunk, expected))
      return
    }
    let left = GROUP
    while (left * 2 < bytes.length) left *= 2
    const leftCv = subtreeCv(bytes.subarray(0, left), chunk, false)
    const rightCv = subtreeCv(bytes.subarray(left), chunk + BigInt(left / 1024), false)
    parts.push(leftCv, rightCv)
    at += 64
    jobs.push(...job(true, isTop, here, 64, 0n, expected))
    visit(start, start + left, false, CARRY_BYTES + here)
    visit(start + left, end, false, CARRY_BYTES + here + 32)
  }
  visit(0, data.length, isRoot, carryOffset)
  const input = new Uint8Array(at)
  let offset = 0
  for (const part of parts) {
    input.set(part, offset)
    offset += part.length
  }
  const carry = new Uint8Array(CARRY_BYTES)
  carry.set(subtreeCv(data, firstChunk, isRoot), carryOffset)
  return { input, carry, jobs: Uint32Array.from(jobs), count: jobs.length / JOB_WORDS }
}

export function verifyCall(kernel: Kernel, { input, carry, jobs, count }: Call): number {
  return kernel.verify(input, carry, jobs, count)
}

function job(
  isParent: boolean,
  isRoot: boolean,
  offset: number,
  length: number,
  firstChunk: bigint,
  expected: number
): number[] {
  const flags = (isParent ? FLAG_PARENT : 0) | (isRoot ? FLAG_ROOT : 0)
  return [flags, offset, length, Number(firstChunk & 0xffff_ffffn), Number(firstChunk >> 32n), expected]
}
