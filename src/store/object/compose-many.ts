/** Composing an object of more slices than a storage takes at once. */
import { randomBytes } from 'node:crypto'
import { TEMP_PREFIX } from './layout.ts'
import type { ObjectStorage, Slice, StorageOptions } from './storage/index.ts'
import { MAX_PARTS } from './storage/part-size.ts'

/**
 * Composes an object out of any number of slices: too many are put together in temporary objects first.
 *
 * @param options.most slices that the storage takes at once
 * @throws as ObjectStorage's `compose`
 */
export async function composeMany(
  storage: ObjectStorage,
  key: string,
  slices: readonly Slice[],
  { most = MAX_PARTS, signal }: StorageOptions & { readonly most?: number } = {}
): Promise<void> {
  if (slices.length <= most) return await storage.compose(key, slices, { signal })
  const temp = `${TEMP_PREFIX}${randomBytes(16).toString('hex')}`
  const atOnce = Math.ceil(slices.length / most)
  const joined: Slice[] = []
  try {
    for (let first = 0; first < slices.length; first += atOnce) {
      const some = slices.slice(first, first + atOnce)
      const length = some.reduce((sum, slice) => sum + slice.length, 0)
      const slice = { key: `${temp}-${joined.length}`, offset: 0, length }
      joined.push(slice)
      await storage.compose(slice.key, some, { signal })
    }
    await storage.compose(key, joined, { signal })
  } finally {
    // What stays is swept when it is old; it must not hide how this has ended.
    await storage.delete(joined.map(slice => slice.key)).catch(() => undefined)
  }
}
