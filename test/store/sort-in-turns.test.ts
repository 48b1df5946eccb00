import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sortInTurns } from '../../src/store/sort-in-turns.ts'

const byNumber = (a: { n: number }, b: { n: number }) => a.n - b.n

it('sorts as Array.sort does, equal ones in their order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(50), { maxLength: 3000, size: 'max' }), async numbers => {
      const items = numbers.map((n, i) => ({ n, i }))
      const sorted = await sortInTurns(items, byNumber, async () => undefined)
      expect(sorted).toEqual([...items].sort(byNumber))
      expect(items.map(({ n }) => n)).toEqual(numbers)
    }),
    { numRuns: 30 }
  )
})

it('gives others their turn again and again, and ends when they say so', async () => {
  const items = Array.from({ length: 100_000 }, (_, i) => ({ n: (i * 7919) % 100_003 }))
  let breaths = 0
  await sortInTurns(items, byNumber, async () => void breaths++)
  expect(breaths).toBeGreaterThan(1000)
  const stop = new Error('stop')
  await expect(sortInTurns(items, byNumber, () => Promise.reject(stop))).rejects.toBe(stop)
})
