import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GROUP_BYTES } from '../../../src/bao/constants.ts'
import { groupCount } from '../../../src/bao/geometry.ts'
import { createJsKernel } from '../../../src/bao/kernel/index.ts'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { checkOutboard } from '../../../src/store/object/check-outboard.ts'
import { randomData } from '../../helpers/data.ts'

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

function lastGroupValue(data: Uint8Array): Uint8Array {
  const first = groupCount(data.length) - 1
  const cv = new Uint8Array(32)
  createJsKernel().subtree(data.subarray(first * GROUP_BYTES), first * 16, false, cv)
  return cv
}

const SIZES = [2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 100].flatMap(groups => [
  (groups - 1) * GROUP_BYTES + 1,
  groups * GROUP_BYTES
])

describe('checkOutboard', () => {
  it.each(SIZES)('finds the outboard of %i bytes right, and what the last group must be', async size => {
    const data = randomData(size)
    const { hash, outboard } = hashBytes(data)
    expect(await checkOutboard(hash, size, inPieces(outboard, 1000))).toEqual(lastGroupValue(data))
  })

  it('takes the outboard in any pieces, and notices any flipped bit, any missing or additional byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 200 }),
        fc.nat(),
        fc.constantFrom('none', 'flip', 'cut', 'more'),
        async (groups, pieceBytes, place, damage) => {
          const data = randomData(groups * GROUP_BYTES - 5, groups)
          const { hash, outboard } = hashBytes(data)
          let stored = Uint8Array.from(outboard)
          if (damage === 'flip') stored[place % stored.length]! ^= 1 << (place % 8)
          if (damage === 'cut') stored = stored.subarray(0, place % stored.length)
          if (damage === 'more') stored = Buffer.concat([stored, new Uint8Array(1 + (place % 100))])
          const found = await checkOutboard(hash, data.length, inPieces(stored, pieceBytes))
          expect(found === undefined).toBe(damage !== 'none')
        }
      )
    )
  })

  it('does not take the outboard for that of a blob with another number of groups', async () => {
    const { hash, outboard } = hashBytes(randomData(5 * GROUP_BYTES))
    for (const groups of [2, 3, 4, 6, 7]) {
      expect(await checkOutboard(hash, groups * GROUP_BYTES, inPieces(outboard, 64))).toBeUndefined()
    }
  })
})
