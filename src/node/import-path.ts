/** Adding files and folders to a store. */
import { HASH_BYTES, type Hash } from '../hash.ts'
import { CollectionMetaEncoder } from '../protocol/collection.ts'
import { checkNamesInTurns } from '../protocol/safe-name.ts'
import { Breather } from '../store/breather.ts'
import { eachInTurns } from '../store/each-in-turns.ts'
import type { AddResult, BlobFormat, BlobStore, Lease } from '../store/index.ts'
import { Limiter } from '../store/limiter.ts'
import { forEachBounded } from './bounded.ts'
import { HashList } from './hash-list.ts'
import { type WalkOptions, walkSource } from './walk-folder.ts'

/**
 * Files that are added at the same time. Small ones are worth many: a store waits for the disk, or for a server, once for
 * each, but for all at the same time. Of those above `SMALL_BYTES` a few keep the disk and the processor busy; more of them
 * only take memory.
 */
const MOST_AT_ONCE = 128
const MOST_LARGE_AT_ONCE = 4
const SMALL_BYTES = 64 * 1024

export interface ImportOptions extends WalkOptions {
  /**
   * Whether a single file becomes a collection as well, so that its name goes with it. A folder always does.
   *
   * @default false
   */
  readonly isCollection?: boolean | undefined
  /** Protects what is added. Without one it is protected until all is there, and not any longer. */
  readonly lease?: Lease | undefined
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined
}

export interface ImportProgress {
  /** Bytes taken so far. */
  readonly bytes: number
  /** Bytes in all, when it began. */
  readonly total: number
}

export interface Imported {
  readonly hash: Hash
  readonly format: BlobFormat
  /** Bytes of all blobs, each counted once: those of the files, and in a collection those of the names and of the list. */
  readonly size: number
  /** The last part of the path. */
  readonly name: string
  readonly files: number
}

/**
 * Adds a file as a blob, or a folder (with `isCollection` a file too) as a collection. What counts in a folder is told in
 * `walk-folder.ts`.
 *
 * @throws UnsafeNameError when a name could not be written as a file elsewhere, before anything is added
 * @throws NothingToShareError, CollectionTooLargeError, StoreError; FileChangedError when a file changes meanwhile. Blobs that
 *   were added by then stay.
 */
export async function importPath(
  store: BlobStore,
  path: string,
  options: ImportOptions = {}
): Promise<Imported> {
  if (options.lease !== undefined) return await importLeased(store, path, options, options.lease)
  await using lease = await store.lease(options)
  return await importLeased(store, path, options, lease)
}

async function importLeased(
  store: BlobStore,
  path: string,
  options: ImportOptions,
  lease: Lease
): Promise<Imported> {
  const { signal } = options
  const source = await walkSource(path, options)
  const { names, sizes } = source
  const report = reporter(
    sizes.reduce((sum, size) => sum + size, 0),
    options
  )
  const add = async (index: number, stop?: AbortSignal): Promise<AddResult> =>
    await store.addPath(source.pathOf(index), { signal: stop, lease, onProgress: report() })
  if (source.kind === 'file' && options.isCollection !== true) {
    const { hash, size } = await add(0, signal)
    return { hash, format: 'raw', size, name: source.name, files: 1 }
  }
  const breather = new Breather(signal)
  const breathe = () => breather.breathe()
  await checkNamesInTurns(names, breathe)
  // Before anything is added: they may be too many.
  const encodedNames = await encodeNames(names, breathe)
  // The first one is for the names, the last one for the list itself.
  const hashes = new HashList(names.length + 2)
  let bytes = 0
  const count = (index: number, { hash, size }: AddResult): void => {
    if (hashes.put(index, hash)) bytes += size
  }
  const large = new Limiter(MOST_LARGE_AT_ONCE)
  await forEachBounded(
    names.keys(),
    MOST_AT_ONCE,
    async (index, stop) => {
      const isSmall = sizes[index]! <= SMALL_BYTES
      count(index + 1, await (isSmall ? add(index, stop) : large.run(() => add(index, stop), stop)))
    },
    signal
  )
  const meta = await store.addBytes(encodedNames, { signal, lease })
  count(0, meta)
  const list = hashes.bytes.subarray(0, (names.length + 1) * HASH_BYTES)
  const root = await store.addBytes(list, { signal, lease })
  count(names.length + 1, root)
  return { hash: root.hash, format: 'hash_seq', size: bytes, name: source.name, files: names.length }
}

async function encodeNames(names: readonly string[], breathe: () => Promise<void>): Promise<Uint8Array> {
  const encoder = new CollectionMetaEncoder(names.length)
  await eachInTurns(names, name => encoder.add(name), breathe)
  return encoder.finish()
}

/** Adds up what is told of files that are read side by side. @returns makes what a file is to tell; it is gone with the file */
function reporter(total: number, { onProgress }: ImportOptions): () => (ofFile: number) => void {
  let bytes = 0
  return () => {
    let before = 0
    return ofFile => {
      bytes += ofFile - before
      before = ofFile
      onProgress?.({ bytes, total })
    }
  }
}
