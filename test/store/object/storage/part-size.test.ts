import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PARTS, MIN_PART_BYTES, partBytesFor } from '../../../../src/store/object/storage/part-size.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

describe('partBytesFor', () => {
  it.each([
    [0, 8],
    [1, 8],
    [10_000 * 8 * MIB, 8],
    [10_000 * 8 * MIB + 1, 9],
    [100 * GIB, 11],
    [5 * 1024 * GIB, 525]
  ])('of %d bytes is %d MiB', (size, mib) => {
    expect(partBytesFor(size)).toBe(mib * MIB)
  })

  it('is whole MiB, no less than S3 takes, and gives no more parts than it takes', () => {
    const property = fc.property(fc.nat(Number.MAX_SAFE_INTEGER), size => {
      const partBytes = partBytesFor(size)
      expect(partBytes % MIB).toBe(0)
      expect(partBytes).toBeGreaterThanOrEqual(MIN_PART_BYTES)
      expect(Math.ceil(size / partBytes)).toBeLessThanOrEqual(MAX_PARTS)
    })
    fc.assert(property)
  })
})
