/** Listing a folder's objects in the order of their keys. */

import { Breather } from '../../../breather.ts'
import { isKeyPart } from '../checks.ts'
import type { ListOptions, ObjectInfo } from '../index.ts'
import { look, type Paths } from './paths.ts'
import { sortedEntries } from './sorted-entries.ts'

export async function* listObjects(
  paths: Paths,
  options: ListOptions
): AsyncGenerator<ObjectInfo, void, undefined> {
  const { prefix = '', after = '', signal } = options
  const breather = new Breather(signal)
  signal?.throwIfAborted()
  // Only one folder can have them: no other is looked at.
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  if (!start.split('/').slice(0, -1).every(isKeyPart)) return
  for await (const key of keysBelow(paths, start, prefix.slice(start.length), after, breather)) {
    await breather.breathe()
    const stats = look(`${paths.root}/${key}`)
    // Gone meanwhile.
    if (stats === undefined || !stats.isFile()) continue
    yield { key, size: stats.size, modifiedAt: Math.floor(stats.mtimeMs) }
    signal?.throwIfAborted()
  }
}

/**
 * @param folder its key, with a `/` behind; empty for the root
 * @param prefix only of entries that begin so
 */
async function* keysBelow(
  paths: Paths,
  folder: string,
  prefix: string,
  after: string,
  breather: Breather
): AsyncGenerator<string, void, undefined> {
  const path = paths.folder(folder)
  if (path === undefined) return
  const isInside = after.startsWith(folder)
  // All that is in it comes before.
  if (!isInside && after > folder) return
  for await (const name of sortedEntries(
    path,
    prefix,
    isInside ? after.slice(folder.length) : '',
    breather
  )) {
    if (name.endsWith('/')) yield* keysBelow(paths, folder + name, '', after, breather)
    else yield folder + name
  }
}
