import { describe, expect, it } from 'vitest'
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
} from '../../src/bao/kernel/index.ts'
import { GROUP, KERNELS, RUN } from './kernel-helpers.ts'

const INPUT_BYTES = 20_000

describe.each(KERNELS)('kernel in $form: misuse is a RangeError that names the limit', ({ kernel }) => {
  const cv = new Uint8Array(32)
  const carry = new Uint8Array(CARRY_BYTES)
  const jobs = new Uint32Array(JOB_WORDS)
  const input = new Uint8Array(INPUT_BYTES)

  function expectRangeError(misuse: () => unknown, ...words: (string | number)[]): void {
    expect(misuse).toThrow(RangeError)
    for (const word of words) {
      expect(misuse).toThrow(`${word}`)
    }
  }

  it('verify: input too long', () => {
    const long = new Uint8Array(MAX_INPUT_BYTES + 1)
    expectRangeError(() => kernel.verify(long, carry, jobs, 0), 'input', MAX_INPUT_BYTES + 1, MAX_INPUT_BYTES)
    expect(kernel.verify(long.subarray(1), carry, jobs, 0)).toBe(0)
  })

  it.each([0, CARRY_BYTES - 1, CARRY_BYTES + 1])('verify: carry of %d bytes', length => {
    expectRangeError(
      () => kernel.verify(input, new Uint8Array(length), jobs, 0),
      'carry',
      length,
      CARRY_BYTES
    )
  })

  it.each([-1, 0.5, Number.NaN, MAX_JOBS + 1])('verify: count %d', count => {
    const many = new Uint32Array((MAX_JOBS + 1) * JOB_WORDS)
    expectRangeError(() => kernel.verify(input, carry, many, count), 'count', count, MAX_JOBS)
  })

  it('verify: more jobs than the table has', () => {
    expectRangeError(() => kernel.verify(input, carry, jobs, 2), 'jobs', JOB_WORDS, 2 * JOB_WORDS)
  })

  it.each([
    { title: 'a leaf longer than a group', words: { [JOB_LENGTH]: GROUP + 1 }, limit: GROUP },
    { title: 'a short parent', words: { [JOB_FLAGS]: FLAG_PARENT, [JOB_LENGTH]: 63 }, limit: 64 },
    {
      title: 'bytes behind the input',
      words: { [JOB_OFFSET]: INPUT_BYTES - 99, [JOB_LENGTH]: 100 },
      limit: INPUT_BYTES
    },
    { title: 'an offset behind the input', words: { [JOB_OFFSET]: 0xffff_ffff }, limit: INPUT_BYTES },
    {
      title: 'an expectation over the end of carry',
      words: { [JOB_EXPECTED]: CARRY_BYTES - 31 },
      limit: CARRY_BYTES
    },
    {
      title: 'an expectation over the end of the input',
      words: { [JOB_EXPECTED]: CARRY_BYTES + INPUT_BYTES - 31 },
      limit: CARRY_BYTES + INPUT_BYTES
    }
  ])('verify: $title', ({ words, limit }) => {
    const table = new Uint32Array(3 * JOB_WORDS)
    for (const [word, value] of Object.entries(words)) {
      table[2 * JOB_WORDS + Number(word)] = value
    }
    table[JOB_LENGTH] = table[JOB_WORDS + JOB_LENGTH] = 64
    expectRangeError(() => kernel.verify(input, carry, table, 3), 'job 2', limit)
  })

  it('verify: two pieces that are too long together', () => {
    const long = new Uint8Array(MAX_INPUT_BYTES - INPUT_BYTES + 1)
    expectRangeError(
      () => kernel.verify(long, carry, jobs, 0, input),
      'input',
      MAX_INPUT_BYTES + 1,
      MAX_INPUT_BYTES
    )
  })

  it.each([
    { title: 'a leaf', words: { [JOB_OFFSET]: INPUT_BYTES - 1, [JOB_LENGTH]: 2 } },
    { title: 'an expectation', words: { [JOB_EXPECTED]: CARRY_BYTES + INPUT_BYTES - 31 } }
  ])('verify: $title across the seam of two pieces', ({ words }) => {
    const table = new Uint32Array(JOB_WORDS)
    for (const [word, value] of Object.entries(words)) table[Number(word)] = value
    expectRangeError(() => kernel.verify(input, carry, table, 1, input), 'job 0', INPUT_BYTES)
  })

  it('subtree: too much data', () => {
    expectRangeError(() => kernel.subtree(new Uint8Array(RUN + 1), 0, false, cv), 'data', RUN + 1, RUN)
  })

  it.each([-1, 0.5, Number.NaN, 2 ** 53 + 2])('subtree: first chunk %d', firstChunk => {
    expectRangeError(() => kernel.subtree(input, firstChunk, false, cv), 'firstChunk', firstChunk, 2 ** 53)
  })

  it('subtree: no room for the chaining value', () => {
    expectRangeError(() => kernel.subtree(input, 0, false, new Uint8Array(31)), 'cv', 31, 32)
  })

  it('subtree: pairs too short, or of a subtree that does not start at a group', () => {
    expectRangeError(() => kernel.subtree(input, 0, false, cv, new Uint8Array(63)), 'pairs', 63, 64)
    expectRangeError(() => kernel.subtree(input, 8, false, cv, new Uint8Array(64)), 'firstChunk', 8, 16)
  })

  it('parent: a pair that is none, no room for the chaining value', () => {
    expectRangeError(() => kernel.parent(new Uint8Array(63), false, cv), 'pair', 63, 64)
    expectRangeError(() => kernel.parent(new Uint8Array(65), false, cv), 'pair', 65, 64)
    expectRangeError(() => kernel.parent(new Uint8Array(64), false, new Uint8Array(31)), 'cv', 31, 32)
  })
})
