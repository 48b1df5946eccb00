/** One file, or one folder, of a collection: found by the path that its names have. */
import type { Hash } from '../hash.ts'
import { checkNames } from '../protocol/safe-name.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { collectionEntries } from './collections.ts'
import type { ExportPlan } from './export-plan.ts'
import { nearest } from './nearest.ts'

/** Names that are compared with a mistyped one: comparing takes time, and a collection may come from a stranger. */
const MAX_GUESSES = 5_000

/** A collection has no file or folder of this path. */
export class NoSuchPathError extends Error {
  override readonly name = 'NoSuchPathError'
  readonly code = 'ERR_NO_SUCH_PATH'

  /** @param hint what there is instead */
  constructor(hash: Hash, path: string, hint: string) {
    super(`there is no ${JSON.stringify(path)} in ${hash}${hint}`)
  }
}

/**
 * Plans what becomes of one file of a collection, or of all files below one folder: called as the last part of the path. The
 * collection's own blob and its names have to be in the store; names elsewhere in it may be unsafe.
 *
 * @param path parts with `/` in between; accents may be composed in one way or the other
 * @throws NoSuchPathError, UnsafeNameError; what `readCollection` throws
 */
export async function planPath(
  store: BlobStore,
  hash: Hash,
  path: string,
  options: WaitOptions = {}
): Promise<ExportPlan> {
  const wanted = path.normalize()
  const below = `${wanted}/`
  const hashes: Hash[] = []
  const names: string[] = []
  for await (const { name, hash: blob } of collectionEntries(store, hash, options)) {
    const normal = name.normalize()
    if (normal !== wanted && !normal.startsWith(below)) continue
    hashes.push(blob)
    names.push(name)
  }
  if (names.length === 0) throw new NoSuchPathError(hash, path, await hintFor(store, hash, wanted, options))
  const segments = checkNames(names)
  const depth = wanted.split('/').length
  const files = hashes.map((blob, i) => ({ hash: blob, segments: segments[i]!.slice(depth) }))
  // `checkNames` lets no file and folder have the same name.
  const kind = files[0]!.segments.length === 0 ? 'file' : 'folder'
  return { name: segments[0]![depth - 1]!, kind, files }
}

/** What may have been meant: a name that ends in the path, or the one that is nearest below the part of the path that is there. */
async function hintFor(store: BlobStore, hash: Hash, wanted: string, options: WaitOptions): Promise<string> {
  const parts = wanted.split('/')
  let depth = 0
  let beside = new Set<string>()
  let ending: string | undefined
  for await (const { name } of collectionEntries(store, hash, options)) {
    const segments = name.normalize().split('/')
    for (let i = 1; ending === undefined && i + parts.length <= segments.length; i++) {
      if (parts.every((part, j) => segments[i + j] === part))
        ending = segments.slice(0, i + parts.length).join('/')
    }
    let same = 0
    while (same < parts.length - 1 && same < segments.length - 1 && segments[same] === parts[same]) same++
    if (same < depth) continue
    if (same > depth) {
      depth = same
      beside = new Set()
    }
    if (beside.size < MAX_GUESSES) beside.add(segments[same]!)
  }
  const word = nearest(parts[depth]!, [...beside])
  const guess =
    word === undefined ? undefined : [...parts.slice(0, depth), word, ...parts.slice(depth + 1)].join('/')
  const meant = ending ?? guess
  return meant === undefined ? '; "blobs ls" lists what is in it' : `; did you mean ${JSON.stringify(meant)}?`
}
