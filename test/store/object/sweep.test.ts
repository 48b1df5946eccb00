/** What comes between the last look at what is protected and the transaction that forgets a blob. */
import { expect, it } from 'vitest'
import type { Hash } from '../../../src/hash.ts'
import { sample } from '../../../src/store/compliance/samples.ts'
import { Lifetime } from '../../../src/store/lifetime.ts'
import { ObjectSweep } from '../../../src/store/object/sweep.ts'
import { testMetadata } from './metadata/support.ts'

it('is noticed in that transaction, and keeps the blob', async () => {
  const metadata = testMetadata()
  const [one, two] = [sample(1), sample(2)]
  const isOne = (hash: Hash): boolean => hash.equals(one.hash)
  for (const { hash, size } of [one, two]) metadata.markComplete(hash, { size, hasOutboard: false })
  metadata.newLease('lease', 'owner')
  let isFirst = true
  const sweep = new ObjectSweep({
    metadata,
    lifetime: new Lifetime(),
    remove: async (hash, isStale) => {
      if (isOne(hash) && isFirst) {
        isFirst = false
        metadata.protect('lease', [{ hash, format: 'raw' }])
      }
      return metadata.transaction(() => {
        if (isStale()) return 'stale'
        metadata.forget(hash)
        return 'gone'
      })
    }
  })
  await Array.fromAsync(sweep.roots())
  const gone = await sweep.delete(
    [one.hash, two.hash],
    async fresh => new Set(fresh.map(({ hash }) => hash.toString()))
  )
  expect(gone.map(String)).toEqual([two.hash.toString()])
  expect(metadata.find(one.hash)?.state).toBe('complete')
})
