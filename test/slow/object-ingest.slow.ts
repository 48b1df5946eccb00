/** Large streams into an object store, in bounded memory. */
import { expect, it } from 'vitest'
import type { StorageOptions, Upload } from '../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../src/store/object/storage/memory/index.ts'
import { ObjectStore } from '../../src/store/object/store.ts'

const MIB = 1024 * 1024

/** Takes large objects, and keeps nothing of them but their size. */
class DiscardingStorage extends MemoryStorage {
  readonly sizes: number[] = []

  override async upload(key: string, partBytes: number, options?: StorageOptions): Promise<Upload> {
    const upload = await super.upload(key, partBytes, options)
    return {
      put: async (number, pieces, putOptions) => {
        const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
        // Something has to be there for it to be complete.
        if (length < partBytes) await upload.put(number, pieces, putOptions)
      },
      copy: async (number, slice, copyOptions) => await upload.copy(number, slice, copyOptions),
      complete: async size => {
        this.sizes.push(size)
        await upload.abort()
        await super.put(key, [])
      },
      abort: async () => await upload.abort()
    }
  }
}

it('2 GiB go by in less than 200 MiB of memory', async () => {
  const storage = new DiscardingStorage()
  await using store = await ObjectStore.inMemory(storage)
  const size = 2048 * MIB
  let peak = 0
  const before = process.memoryUsage.rss()
  const source = (async function* () {
    const piece = new Uint8Array(MIB)
    for (let sent = 0; sent < size; sent += MIB) {
      piece[0] = sent / MIB
      peak = Math.max(peak, process.memoryUsage.rss() - before)
      yield piece
    }
  })()
  // Nothing was kept, which is noticed before the blob counts as complete.
  await expect(store.addStream(source)).rejects.toThrow('it has 0 bytes instead of')
  expect(storage.sizes).toContain(size)
  expect(peak).toBeLessThan(200 * MIB)
})
