import { expect, it } from 'vitest'
import type { GarbageReport } from '../../../src/node/gc/collect.ts'
import { MAX_INTERVAL_MS, scheduleGarbageCollection } from '../../../src/node/gc/schedule.ts'
import { sample } from '../../../src/store/compliance/samples.ts'
import type { WaitOptions } from '../../../src/store/index.ts'
import { MemoryStore } from '../../../src/store/memory/index.ts'

const blob = sample(1000)

it('collects again and again, until it is ended', async () => {
  const store = new MemoryStore()
  const reports: GarbageReport[] = []
  const end = scheduleGarbageCollection(store, { intervalMs: 5, onCollected: report => reports.push(report) })
  for (let round = 0; round < 3; round++) {
    await store.addBytes(blob.data)
    await expect.poll(async () => (await store.status(blob.hash)).state).toBe('absent')
  }
  await expect.poll(() => reports.reduce((sum, { blobs }) => sum + blobs, 0)).toBe(3)
  await end()
  const { length } = reports
  await store.addBytes(blob.data)
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(reports).toHaveLength(length)
  expect((await store.status(blob.hash)).state).toBe('complete')
})

it('collects also when nobody wants to be told', async () => {
  const store = new MemoryStore()
  await store.addBytes(blob.data)
  const end = scheduleGarbageCollection(store, { intervalMs: 1 })
  await expect.poll(async () => (await store.status(blob.hash)).state).toBe('absent')
  await end()
})

it('goes on after a failure, which it tells', async () => {
  const store = new MemoryStore()
  await store.tags.set('list', { hash: sample(64).hash, format: 'hash_seq' })
  const failures: unknown[] = []
  const end = scheduleGarbageCollection(store, { intervalMs: 1, onFailed: error => failures.push(error) })
  await store.addBytes(blob.data)
  await expect.poll(() => failures.length).toBeGreaterThan(1)
  expect(failures[0]).toMatchObject({ code: 'ERR_INCOMPLETE_SEQUENCE' })
  await store.tags.delete('list')
  await expect.poll(async () => (await store.status(blob.hash)).state).toBe('absent')
  await end()
})

it('ends a collection that is going on, waits for it, and tells of no failure', async () => {
  let isGoingOn = false
  class EndlessStore extends MemoryStore {
    override async *list({ signal }: WaitOptions = {}) {
      isGoingOn = true
      for (;;) {
        await new Promise(resolve => setTimeout(resolve, 5))
        if (signal?.aborted) isGoingOn = false
        signal?.throwIfAborted()
      }
      // biome-ignore lint/correctness/noUnreachable: it makes this a generator of blobs.
      yield* super.list()
    }
  }
  const failures: unknown[] = []
  const end = scheduleGarbageCollection(new EndlessStore(), {
    intervalMs: 1,
    onFailed: error => failures.push(error)
  })
  await expect.poll(() => isGoingOn).toBe(true)
  await end()
  expect(isGoingOn).toBe(false)
  expect(failures).toEqual([])
})

it.each([0, -1, Number.NaN, MAX_INTERVAL_MS + 1])('%s ms are no interval', intervalMs => {
  expect(() => scheduleGarbageCollection(new MemoryStore(), { intervalMs })).toThrow(RangeError)
})
