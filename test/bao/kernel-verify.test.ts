import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CARRY_BYTES,
  FLAG_PARENT,
  FLAG_ROOT,
  JOB_CHUNK_HIGH,
  JOB_CHUNK_LOW,
  JOB_EXPECTED,
  JOB_FLAGS,
  JOB_LENGTH,
  JOB_OFFSET,
  JOB_WORDS,
  MAX_INPUT_BYTES,
  MAX_JOBS
} from '../../src/bao/kernel/index.ts'
import {
  type Call,
  callOfNodes,
  callOfSubtree,
  GROUP,
  KERNELS,
  leafNode,
  type Node,
  parentNode,
  patternBytes,
  unaligned,
  verifyCall
} from './kernel-helpers.ts'

/** Five whole groups and a short one: leaves and parents of every kind, and an odd count. */
const SIZE = 5 * GROUP + 3 * 1024 + 100

/** The job whose bytes the input has at `byte`. */
function jobAt({ jobs, count }: Call, byte: number): number {
  for (let i = 0; i < count; i++) {
    const start = jobs[i * JOB_WORDS + JOB_OFFSET]!
    if (byte >= start && byte < start + jobs[i * JOB_WORDS + JOB_LENGTH]!) {
      return i
    }
  }
  throw new Error(`no job has byte ${byte}`)
}

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >>> 3]! ^= 1 << (bit & 7)
}

/** Changes one word of one job. */
function withWord(call: Call, job: number, word: number, value: number): Call {
  const jobs = call.jobs.slice()
  jobs[job * JOB_WORDS + word] = value
  return { ...call, jobs }
}

const pair = patternBytes(64)
const someNodes: readonly Node[] = [
  leafNode(patternBytes(GROUP), 2n ** 32n - 16n, false),
  parentNode(pair, false),
  leafNode(patternBytes(GROUP), 0n, true),
  parentNode(pair, true),
  leafNode(patternBytes(0), 0n, true),
  leafNode(patternBytes(1), 2n ** 40n, false),
  leafNode(patternBytes(GROUP), 2n ** 32n - 5n, false),
  leafNode(patternBytes(GROUP), 2n ** 64n - 64n, false),
  leafNode(patternBytes(9 * 1024 + 64), 2n ** 32n - 8n, false),
  leafNode(patternBytes(1024), 77n, false)
]

describe.each(KERNELS)('kernel in $form: verify', ({ kernel }) => {
  it.each([0, 1, 1024, 1025, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 1, SIZE, 16 * GROUP])(
    'accepts a whole blob of %d bytes',
    size => {
      const call = callOfSubtree(patternBytes(size), 0n, true)
      expect(verifyCall(kernel, call)).toBe(call.count)
    }
  )

  it.each([16n, 2n ** 32n - 32n, 2n ** 40n])('accepts a subtree that starts at chunk %d', firstChunk => {
    const call = callOfSubtree(patternBytes(SIZE), firstChunk, false)
    expect(verifyCall(kernel, call)).toBe(call.count)
  })

  it('accepts leaves of every number of chunks', () => {
    const nodes = Array.from({ length: 17 }, (_, chunks) => [
      leafNode(patternBytes(chunks * 1024), 2n ** 32n - 3n, false),
      leafNode(patternBytes(Math.max(0, chunks * 1024 - 9)), 5n, chunks % 2 === 0)
    ]).flat()
    expect(verifyCall(kernel, callOfNodes(nodes))).toBe(nodes.length)
  })

  it('names the job in which a bit is wrong', () => {
    const good = callOfSubtree(patternBytes(SIZE), 16n, false)
    fc.assert(
      fc.property(fc.nat(good.input.length * 8 - 1), bit => {
        const input = good.input.slice()
        flip(input, bit)
        expect(verifyCall(kernel, { ...good, input })).toBe(jobAt(good, bit >>> 3))
      }),
      { numRuns: 200 }
    )
  })

  it('names the first of several jobs in which a bit is wrong', () => {
    const good = callOfSubtree(patternBytes(SIZE), 16n, false)
    const bits = fc.array(fc.nat(good.input.length * 8 - 1), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(bits, bits => {
        const input = good.input.slice()
        const distinct = [...new Set(bits)]
        for (const bit of distinct) flip(input, bit)
        const first = Math.min(...distinct.map(bit => jobAt(good, bit >>> 3)))
        expect(verifyCall(kernel, { ...good, input })).toBe(first)
      }),
      { numRuns: 50 }
    )
  })

  it('notices every bit of an expected value', () => {
    const good = callOfSubtree(patternBytes(100), 0n, true)
    for (let bit = 0; bit < 256; bit++) {
      const carry = good.carry.slice()
      flip(carry, bit)
      expect(verifyCall(kernel, { ...good, carry }), `bit ${bit}`).toBe(0)
    }
  })

  it.each([0, 1, 32, 1000, CARRY_BYTES - 33, CARRY_BYTES - 32])(
    'finds what it expects at byte %d of carry',
    offset => {
      const call = callOfSubtree(patternBytes(GROUP + 1), 0n, true, offset)
      expect(verifyCall(kernel, call)).toBe(call.count)
      flip(call.carry, offset * 8)
      expect(verifyCall(kernel, call)).toBe(0)
    }
  )

  it.each([0, 1, 3, 4, 15, 16, 17, 63])('takes nodes that start at byte %d of the input', prefix => {
    const call = callOfSubtree(patternBytes(SIZE), 0n, true, 0, prefix)
    expect(verifyCall(kernel, call)).toBe(call.count)
  })

  it('takes buffers at odd addresses', () => {
    const call = callOfSubtree(patternBytes(SIZE), 0n, true)
    const moved = { ...call, input: unaligned(call.input), carry: unaligned(call.carry) }
    expect(verifyCall(kernel, moved)).toBe(call.count)
  })

  it('accepts and refuses nodes of all kinds in any order', () => {
    const choice = fc.record({ node: fc.nat(someNodes.length - 1), isGood: fc.boolean() })
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 40 }), choices => {
        const nodes = choices.map(({ node, isGood }) => {
          const { expected, ...rest } = someNodes[node]!
          return {
            ...rest,
            expected: isGood ? expected : expected.map((byte, i) => (i === 31 ? byte ^ 128 : byte))
          }
        })
        const firstBad = choices.findIndex(({ isGood }) => !isGood)
        expect(verifyCall(kernel, callOfNodes(nodes))).toBe(firstBad < 0 ? nodes.length : firstBad)
      }),
      { numRuns: 60 }
    )
  })

  it('takes as many jobs as the contract allows, over the same bytes if need be', () => {
    const call = callOfNodes([leafNode(patternBytes(GROUP), 48n, false), parentNode(pair, false)])
    const jobs = new Uint32Array(MAX_JOBS * JOB_WORDS)
    for (let i = 0; i < MAX_JOBS; i++) {
      jobs.set(call.jobs.subarray((i % 2) * JOB_WORDS, ((i % 2) + 1) * JOB_WORDS), i * JOB_WORDS)
    }
    const full = { ...call, jobs, count: MAX_JOBS }
    expect(verifyCall(kernel, full)).toBe(MAX_JOBS)
    for (const bad of [0, 1, 14, 127, 128, 130, 1001, MAX_JOBS - 1]) {
      expect(
        verifyCall(kernel, withWord(full, bad, JOB_FLAGS, FLAG_ROOT | (bad % 2 ? FLAG_PARENT : 0)))
      ).toBe(bad)
    }
  })

  it('takes as much input as the contract allows', () => {
    const node = leafNode(patternBytes(GROUP), 48n, false)
    const call = callOfNodes([node])
    const start = MAX_INPUT_BYTES - call.input.length
    const input = new Uint8Array(MAX_INPUT_BYTES)
    input.set(call.input, start)
    const moved = { ...withWord(call, 0, JOB_OFFSET, start), input }
    moved.jobs[JOB_EXPECTED]! += start
    expect(verifyCall(kernel, moved)).toBe(1)
    flip(input, input.length * 8 - 1)
    expect(verifyCall(kernel, moved)).toBe(0)
  })

  it('holds a node to its place and to its role', () => {
    const call = callOfNodes(someNodes)
    someNodes.forEach((node, i) => {
      const flags = call.jobs[i * JOB_WORDS + JOB_FLAGS]!
      expect(verifyCall(kernel, withWord(call, i, JOB_FLAGS, flags ^ FLAG_ROOT)), `root flag of ${i}`).toBe(i)
      const low = call.jobs[i * JOB_WORDS + JOB_CHUNK_LOW]!
      const high = call.jobs[i * JOB_WORDS + JOB_CHUNK_HIGH]!
      const wrongPlace = node.isParent ? call.count : i
      expect(verifyCall(kernel, withWord(call, i, JOB_CHUNK_LOW, low ^ 1)), `low word of ${i}`).toBe(
        wrongPlace
      )
      expect(verifyCall(kernel, withWord(call, i, JOB_CHUNK_HIGH, high ^ 1)), `high word of ${i}`).toBe(
        wrongPlace
      )
    })
  })

  it('finds the same when the input comes in two pieces, cut between any two nodes', () => {
    const good = callOfSubtree(patternBytes(SIZE), 16n, false)
    const inputs = [0, 5, 40_000, good.input.length - 1].map(byte => {
      const wrong = good.input.slice()
      flip(wrong, byte * 8)
      return wrong
    })
    for (const input of [good.input, ...inputs]) {
      const found = verifyCall(kernel, { ...good, input })
      for (let job = 0; job < good.count; job++) {
        const seam = good.jobs[job * JOB_WORDS + JOB_OFFSET]!
        const [first, more] = [input.slice(0, seam), input.slice(seam)]
        expect(kernel.verify(first, good.carry, good.jobs, good.count, more)).toBe(found)
      }
    }
  })

  it('looks at the first count jobs only', () => {
    const call = callOfSubtree(patternBytes(SIZE), 0n, true)
    const input = call.input.slice()
    flip(input, input.length * 8 - 1)
    expect(verifyCall(kernel, { ...call, input, count: call.count - 1 })).toBe(call.count - 1)
    expect(verifyCall(kernel, { ...call, input, count: 0 })).toBe(0)
  })

  it('leaves what it is given as it was', () => {
    const call = callOfSubtree(patternBytes(SIZE), 0n, true)
    const before = structuredClone(call)
    verifyCall(kernel, call)
    expect(call).toEqual(before)
  })
})
