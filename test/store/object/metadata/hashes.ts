/** Hashes to put into a database; without the test runner, for processes that are none of its. */
import { hashBytes } from '../../../../src/bao/outboard.ts'
import type { Hash } from '../../../../src/hash.ts'

/** The hash of a number. */
export function hashOf(number: number): Hash {
  return hashBytes(Uint8Array.from([number, number >> 8, number >> 16])).hash
}
