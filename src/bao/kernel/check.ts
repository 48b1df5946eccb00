/** The kernel contract's limits as checks, shared by both kernels: misuse is an error, not a wrong hash. */
import { CHUNK_BYTES, CV_BYTES, GROUP_BYTES, GROUP_CHUNKS, PAIR_BYTES, RUN_BYTES } from '../constants.ts'
import {
  CARRY_BYTES,
  FLAG_PARENT,
  JOB_EXPECTED,
  JOB_FLAGS,
  JOB_LENGTH,
  JOB_OFFSET,
  JOB_WORDS,
  MAX_INPUT_BYTES,
  MAX_JOBS
} from './kernel.ts'

/** Largest number of a first chunk. */
const MAX_FIRST_CHUNK = 2 ** 53

/**
 * Checks the arguments of `Kernel.verify`, every job included: a job that points outside its buffers would otherwise be
 * compared with whatever an earlier call left there.
 *
 * @throws RangeError naming the argument, its value and the limit
 */
export function checkVerify(
  input: Uint8Array,
  carry: Uint8Array,
  jobs: Uint32Array,
  count: number,
  more: Uint8Array
): void {
  const inputBytes = input.length + more.length
  if (inputBytes > MAX_INPUT_BYTES) {
    throw new RangeError(`input has ${inputBytes} bytes: a call takes at most ${MAX_INPUT_BYTES}`)
  }
  if (carry.length !== CARRY_BYTES) {
    throw new RangeError(`carry has ${carry.length} bytes: it must have ${CARRY_BYTES}`)
  }
  if (!Number.isInteger(count) || count < 0 || count > MAX_JOBS) {
    throw new RangeError(`count is ${count}: a call takes 0 to ${MAX_JOBS} jobs`)
  }
  if (jobs.length < count * JOB_WORDS) {
    throw new RangeError(`jobs has ${jobs.length} words: ${count} jobs need ${count * JOB_WORDS}`)
  }
  for (let i = 0; i < count; i++) {
    checkJob(inputBytes, input.length, jobs, i)
  }
}

/** @param seam no node lies across this offset */
function checkJob(inputBytes: number, seam: number, jobs: Uint32Array, index: number): void {
  const at = index * JOB_WORDS
  const start = jobs[at + JOB_OFFSET]!
  const length = jobs[at + JOB_LENGTH]!
  const end = start + length
  const expected = jobs[at + JOB_EXPECTED]!
  const isParent = (jobs[at + JOB_FLAGS]! & FLAG_PARENT) !== 0
  if (isParent ? length !== PAIR_BYTES : length > GROUP_BYTES) {
    const limit = isParent ? `a parent has ${PAIR_BYTES}` : `a leaf has at most ${GROUP_BYTES}`
    throw new RangeError(`job ${index} is ${length} bytes long: ${limit}`)
  }
  if (end > inputBytes) {
    throw new RangeError(`job ${index} ends at byte ${end} of input, which has ${inputBytes}`)
  }
  if (start < seam && end > seam) {
    throw new RangeError(`job ${index} lies at bytes ${start} to ${end}, across the ${seam} bytes of input`)
  }
  const inCarry = expected < CARRY_BYTES
  if (expected + CV_BYTES > (inCarry ? CARRY_BYTES : CARRY_BYTES + inputBytes)) {
    const end = inCarry
      ? `carry, which has ${CARRY_BYTES}`
      : `carry and input, which have ${CARRY_BYTES + inputBytes}`
    throw new RangeError(
      `job ${index} expects the ${CV_BYTES} bytes at ${expected}, beyond the end of ${end}`
    )
  }
  const expectedAt = expected - CARRY_BYTES
  if (expectedAt < seam && expectedAt + CV_BYTES > seam && !inCarry) {
    throw new RangeError(
      `job ${index} expects the ${CV_BYTES} bytes at ${expected}, across the ${seam} bytes of input`
    )
  }
}

/**
 * Checks the arguments of `Kernel.subtree`.
 *
 * @throws RangeError naming the argument, its value and the limit
 */
export function checkSubtree(
  data: Uint8Array,
  firstChunk: number,
  cv: Uint8Array,
  pairs: Uint8Array | undefined
): void {
  if (data.length > RUN_BYTES) {
    throw new RangeError(`data has ${data.length} bytes: a call takes at most ${RUN_BYTES}`)
  }
  if (!Number.isInteger(firstChunk) || firstChunk < 0 || firstChunk > MAX_FIRST_CHUNK) {
    throw new RangeError(`firstChunk is ${firstChunk}: it must be an integer from 0 to ${MAX_FIRST_CHUNK}`)
  }
  checkCv(cv)
  if (pairs === undefined) {
    return
  }
  if (firstChunk % GROUP_CHUNKS !== 0) {
    throw new RangeError(`firstChunk is ${firstChunk}: with pairs it must be a multiple of ${GROUP_CHUNKS}`)
  }
  const needed = pairsBytes(data.length)
  if (pairs.length < needed) {
    throw new RangeError(`pairs has ${pairs.length} bytes: ${data.length} bytes of data need ${needed}`)
  }
}

/**
 * Checks the arguments of `Kernel.parent`.
 *
 * @throws RangeError naming the argument, its value and the limit
 */
export function checkParent(pair: Uint8Array, cv: Uint8Array): void {
  if (pair.length !== PAIR_BYTES) {
    throw new RangeError(`pair has ${pair.length} bytes: it must have ${PAIR_BYTES}`)
  }
  checkCv(cv)
}

function checkCv(cv: Uint8Array): void {
  if (cv.length < CV_BYTES) {
    throw new RangeError(`cv has ${cv.length} bytes: a chaining value needs ${CV_BYTES}`)
  }
}

/** Bytes of the pairs of a subtree of `length` bytes: one pair less than it has groups. */
export function pairsBytes(length: number): number {
  return PAIR_BYTES * (Math.max(1, Math.ceil(length / GROUP_BYTES)) - 1)
}

/** Chunks in `length` bytes: no bytes are one empty chunk. */
export function chunkCount(length: number): number {
  return Math.max(1, Math.ceil(length / CHUNK_BYTES))
}
