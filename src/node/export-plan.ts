/** Where the blobs of a collection go when they become files: decided, and checked, before anything is written. */
import type { Hash } from '../hash.ts'
import { checkNames } from '../protocol/safe-name.ts'
import type { BlobFormat, BlobStore, WaitOptions } from '../store/index.ts'
import { collectionEntries, readCollection } from './collections.ts'

/** Digits of the hash that name what has no name. */
const HASH_NAME_CHARS = 16

/** A blob, and where below the target it goes. */
export interface PlannedFile {
  readonly hash: Hash
  /** Folders and file below the target; none when the target is the file. */
  readonly segments: readonly string[]
}

export interface ExportPlan {
  /** What the target is called when nobody says otherwise; safe as a file's name. */
  readonly name: string
  readonly kind: 'file' | 'folder'
  readonly files: readonly PlannedFile[]
}

/** The first digits of a hash: the name of what has no other. */
export function nameOfHash(hash: Hash): string {
  return hash.toString().slice(0, HASH_NAME_CHARS)
}

/**
 * Plans how a blob becomes a file, or a hash sequence a tree of files:
 *
 * - a raw blob is one file, called `<16 digits of its hash>.bin`;
 * - a collection of one file, or with one folder that holds all of it, is this file or folder, under its own name;
 * - another collection is a folder called `<16 digits of its hash>`, with all entries in it;
 * - a hash sequence without names is such a folder too, its blobs called `0.bin`, `1.bin` and so on, in their order.
 *
 * A collection's own blob and its names have to be in the store, the files need not.
 *
 * @throws UnsafeNameError when any name cannot be used
 * @throws NotAHashSequenceError, BlobNotFoundError, InvalidCollectionError, CorruptSourceError
 */
export async function planExport(
  store: BlobStore,
  hash: Hash,
  format: BlobFormat,
  options: WaitOptions = {}
): Promise<ExportPlan> {
  if (format === 'raw') {
    return { name: `${nameOfHash(hash)}.bin`, kind: 'file', files: [{ hash, segments: [] }] }
  }
  const entries = await readCollection(store, hash, options)
  if (entries === undefined) return await planNumbered(store, hash, options)
  const segments = checkNames(entries.map(({ name }) => name))
  const files = entries.map((entry, i) => ({ hash: entry.hash, segments: segments[i]! }))
  const top = segments[0]?.[0]
  if (top === undefined || segments.some(([first]) => first !== top)) {
    return { name: nameOfHash(hash), kind: 'folder', files }
  }
  // `checkNames` lets no file and folder have the same name: either it is one file, or all are below the folder.
  const kind = segments[0]!.length === 1 ? 'file' : 'folder'
  return { name: top, kind, files: files.map(file => ({ ...file, segments: file.segments.slice(1) })) }
}

async function planNumbered(store: BlobStore, hash: Hash, options: WaitOptions): Promise<ExportPlan> {
  const files: PlannedFile[] = []
  for await (const { name, hash: blob } of collectionEntries(store, hash, options)) {
    files.push({ hash: blob, segments: [name] })
  }
  return { name: nameOfHash(hash), kind: 'folder', files }
}
