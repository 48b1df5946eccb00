/**
 * How fast one thread hashes: the kernels, and blake3-wasm for comparison (which gives hashes of whole blobs only).
 *
 *     node bench/kernel.ts [part of a trial's name ...]
 */
import { hash as blake3 } from 'blake3-wasm'
import { GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_BYTES, RUN_CHUNKS } from '../dist/bao/constants.js'
import {
  CARRY_BYTES,
  createJsKernel,
  createWasmKernel,
  FLAG_PARENT,
  JOB_CHUNK_HIGH,
  JOB_CHUNK_LOW,
  JOB_EXPECTED,
  JOB_FLAGS,
  JOB_LENGTH,
  JOB_OFFSET,
  JOB_WORDS,
  type Kernel
} from '../dist/bao/kernel/index.js'
import { compileWide } from '../dist/node/hash-wide.js'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { runAlternating, selectNamed, type Trial, toTable } from './lib/trial.ts'

/** 256 MiB: more than any cache holds. */
const RUNS = 256
const BASELINE = 'blake3-wasm'

const PAIRS_BYTES = PAIR_BYTES * (RUN_BYTES / GROUP_BYTES - 1)

/** A run as it comes over the wire, and the jobs that check it. */
interface EncodedRun {
  readonly input: Uint8Array
  readonly carry: Uint8Array
  readonly jobs: Uint32Array
  readonly count: number
}

function someBytes(length: number): Uint8Array {
  const words = new Uint32Array(length / 4)
  for (let i = 0, state = 1; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}

/** Interleaves the pairs and the groups of one run in pre-order. */
function encodeRun(kernel: Kernel, data: Uint8Array, firstChunk: number): EncodedRun {
  const carry = new Uint8Array(CARRY_BYTES)
  const pairs = new Uint8Array(PAIRS_BYTES)
  kernel.subtree(data, firstChunk, false, carry.subarray(0, 32), pairs)
  const input = new Uint8Array(data.length + pairs.length)
  const table: number[] = []
  let at = 0
  let pairAt = 0
  const add = (bytes: Uint8Array, flags: number, chunk: number, expected: number): void => {
    const words = new Array<number>(JOB_WORDS)
    words[JOB_FLAGS] = flags
    words[JOB_OFFSET] = at
    words[JOB_LENGTH] = bytes.length
    words[JOB_CHUNK_LOW] = chunk
    words[JOB_CHUNK_HIGH] = 0
    words[JOB_EXPECTED] = expected
    table.push(...words)
    input.set(bytes, at)
    at += bytes.length
  }
  const visit = (group: number, groups: number, expected: number): void => {
    if (groups === 1) {
      const bytes = data.subarray(group * GROUP_BYTES, (group + 1) * GROUP_BYTES)
      add(bytes, 0, firstChunk + group * GROUP_CHUNKS, expected)
      return
    }
    const here = CARRY_BYTES + at
    add(pairs.subarray(pairAt, pairAt + PAIR_BYTES), FLAG_PARENT, 0, expected)
    pairAt += PAIR_BYTES
    visit(group, groups / 2, here)
    visit(group + groups / 2, groups / 2, here + 32)
  }
  visit(0, RUN_BYTES / GROUP_BYTES, 0)
  return { input, carry, jobs: Uint32Array.from(table), count: table.length / JOB_WORDS }
}

const data = someBytes(RUNS * RUN_BYTES)
const runs = Array.from({ length: RUNS }, (_, i) => data.subarray(i * RUN_BYTES, (i + 1) * RUN_BYTES))
const wasm = createWasmKernel()
/** Where this Node.js has not been tried with it, as narrow as the other. */
const wide = createWasmKernel(compileWide())
const encoded = runs.map((run, i) => encodeRun(wasm, run, i * RUN_CHUNKS))

/** A trial that does something with each run. */
function trialOf(name: string, work: (run: Uint8Array, index: number) => void): Trial {
  return { name, bytes: data.length, run: () => runs.forEach(work) }
}

function subtreeTrial(name: string, kernel: Kernel): Trial {
  const cv = new Uint8Array(32)
  const pairs = new Uint8Array(PAIRS_BYTES)
  return trialOf(name, (run, i) => kernel.subtree(run, i * RUN_CHUNKS, false, cv, pairs))
}

function verifyTrial(name: string, kernel: Kernel): Trial {
  return trialOf(name, (_, i) => {
    const { input, carry, jobs, count } = encoded[i]!
    const good = kernel.verify(input, carry, jobs, count)
    if (good !== count) {
      throw new Error(`${name}: job ${good} of an intact run was refused`)
    }
  })
}

const trials: readonly Trial[] = [
  subtreeTrial('wasm subtree', wasm),
  verifyTrial('wasm verify', wasm),
  subtreeTrial('wide subtree', wide),
  verifyTrial('wide verify', wide),
  subtreeTrial('js subtree', createJsKernel()),
  verifyTrial('js verify', createJsKernel()),
  trialOf(BASELINE, run => {
    blake3(run)
  })
]

const measurements = await runAlternating(selectNamed(trials, process.argv.slice(2)))
console.log(`${describeMachine()}; ${describeLoad()}\n${RUNS} MiB in pieces of 1 MiB, one thread\n`)
console.log(toTable(measurements, BASELINE))
