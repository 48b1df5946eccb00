/** Whether a kernel hashes as it should: for code that an engine made in a way of which little is known. */
import { CHUNK_BYTES, CV_BYTES, GROUP_BYTES, GROUP_CHUNKS } from '../constants.ts'
import { CARRY_BYTES, JOB_CHUNK_LOW, JOB_LENGTH, JOB_WORDS, type Kernel } from './kernel.ts'

/** Two groups and a half, the last chunk short: all eight lanes, some of them, one, and parents of all levels. */
const BYTES = 40 * CHUNK_BYTES + 5

/** The number of a chunk is in two words, and its low one passes 2^32 here within the first eight. */
const FIRST_CHUNK = 2 ** 32 - 3

/** Of these bytes as a blob, and as a subtree that begins with that chunk. Another kernel computed them; a test compares all. */
const HASH = 'bc26d50a9dbf43deb512129fc228d6930035f41019bf78ee7d77a0b05d9bd5e1'
const CHAINING_VALUE = '94a031175b44eb3fd7682587e41f59aa797d48712583116b0f0722e49cac5ef5'

/** Takes less than a millisecond. */
export function isRight(kernel: Kernel): boolean {
  const data = Uint8Array.from({ length: BYTES }, (_, i) => (i * 167) ^ (i >> 7))
  return (
    subtree(kernel, data, 0, true) === HASH &&
    subtree(kernel, data, FIRST_CHUNK, false) === CHAINING_VALUE &&
    tellsGroups(kernel, data.subarray(0, GROUP_BYTES))
  )
}

function subtree(kernel: Kernel, data: Uint8Array, firstChunk: number, isRoot: boolean): string {
  const cv = new Uint8Array(CV_BYTES)
  kernel.subtree(data, firstChunk, isRoot, cv)
  return Array.from(cv, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Whether it takes a group for what it is, and no other bytes for it. */
function tellsGroups(kernel: Kernel, group: Uint8Array): boolean {
  const carry = new Uint8Array(CARRY_BYTES)
  kernel.subtree(group, GROUP_CHUNKS, false, carry)
  const jobs = new Uint32Array(JOB_WORDS)
  jobs[JOB_LENGTH] = GROUP_BYTES
  jobs[JOB_CHUNK_LOW] = GROUP_CHUNKS
  const other = Uint8Array.from(group)
  other[GROUP_BYTES - 1]! ^= 1
  return kernel.verify(group, carry, jobs, 1) === 1 && kernel.verify(other, carry, jobs, 1) === 0
}
