/** Looking up many blobs at a time. */
import { expect, it } from 'vitest'
import { hashBytes } from '../../src/bao/index.ts'
import { lookUp } from '../../src/libp2p/fetch/look-up.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'

it('tells in their order what is missing, and lets others have their turn meanwhile', async () => {
  const store = new MemoryStore()
  const { hash: held } = await store.addBytes(randomData(1000, 1))
  const { hash: missing } = hashBytes(randomData(1000, 2))
  const hashes = Array.from({ length: 200_000 }, (_, i) => (i % 3 === 0 ? held : missing))
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  const found = await lookUp(store, hashes, {})
  clearInterval(counting)
  expect(found.map(({ ranges }) => ranges.isEmpty)).toEqual(hashes.map(hash => hash === held))
  expect(turns).toBeGreaterThan(0)
})
