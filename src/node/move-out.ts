/** Taking blobs out of a store and making them files: of what is on its way there is always a copy that has a name. */
import { chmod, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hash } from '../hash.ts'
import { UnsupportedExportModeError } from '../store/errors.ts'
import { explained } from '../store/fs-errors.ts'
import type { BlobStore, HashAndFormat, Tag, WaitOptions } from '../store/index.ts'
import { forEachBounded } from './bounded.ts'
import { EXPORT_CONCURRENCY, type ExportProgress, exportPath } from './export-path.ts'
import type { ExportPlan, PlannedFile } from './export-plan.ts'
import { BlobHeldError } from './remove.ts'
import { findHolders, linksOf, tagsOf, untag } from './tags.ts'

/** What a new file's permissions are before the process's mask. */
const DEFAULT_MODE = 0o666

export interface MoveOptions extends WaitOptions {
  /** A tag that names what is moved, and goes with it. */
  readonly tag?: string | undefined
  /** Whether to take also what other tags hold. Those that name the very blob are removed; collections lose what they share. */
  readonly isForced?: boolean | undefined
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined
}

/**
 * Writes what a plan says to `target`, then removes it from the store: the files' blobs, of a collection its own blob and its
 * names too. Where the store can link, nothing is copied, but for blobs that are several files. When this is stopped before the
 * target is there, the store is as it was; when it is stopped after, both have it.
 *
 * A file that the store had been linked to before keeps sharing its bytes with the other one, and stays read-only.
 *
 * @throws BlobHeldError when another tag holds any of it; what `exportPath` throws
 */
export async function moveOut(
  store: BlobStore,
  { hash, format }: HashAndFormat,
  plan: ExportPlan,
  target: string,
  { tag, isForced = false, signal, onProgress }: MoveOptions = {}
): Promise<void> {
  const all = new Map<string, Hash>([[hash.toString(), hash]])
  if (format === 'hash_seq') {
    for await (const link of linksOf(store, hash, { signal })) all.set(link.toString(), link)
  }
  if (!isForced) await requireUnheld(store, hash, all, tag, signal)
  const linked = await writeTree(store, plan, target, { signal, onProgress })
  // From here on it is only tidied up: the target is there.
  const tags = isForced ? (await tagsOf(store, hash)).map(({ name }) => name) : tag === undefined ? [] : [tag]
  // Writing takes its time: what others have given a tag meanwhile stays.
  const held = isForced ? new Map() : await holdersOf(store, all, tag)
  await forEachBounded(all, EXPORT_CONCURRENCY, async ([hex, blob]) => {
    if (!blob.equals(hash) && !held.has(hex)) await store.delete(blob)
  })
  if (!held.has(hash.toString())) await store.delete(hash)
  for (const name of tags) await untag(store, { name, hash })
  await forEachBounded(linked, EXPORT_CONCURRENCY, ({ segments }) => makeWritable(join(target, ...segments)))
}

async function requireUnheld(
  store: BlobStore,
  hash: Hash,
  blobs: ReadonlyMap<string, Hash>,
  except: string | undefined,
  signal: AbortSignal | undefined
): Promise<void> {
  const holders = await holdersOf(store, blobs, except, signal)
  // Of all that could be said, what is meant by the user comes first.
  const [held] = holders.has(hash.toString()) ? [hash.toString()] : holders.keys()
  if (held !== undefined) throw new BlobHeldError(held, holders.get(held)!.name)
}

async function holdersOf(
  store: BlobStore,
  blobs: ReadonlyMap<string, Hash>,
  except: string | undefined,
  signal?: AbortSignal
): Promise<Map<string, Tag>> {
  const options = { signal, ...(except === undefined ? {} : { except }) }
  return await findHolders(store, new Set(blobs.keys()), options)
}

/** @returns the files that are the store's own */
async function writeTree(
  store: BlobStore,
  plan: ExportPlan,
  target: string,
  options: WaitOptions & Pick<MoveOptions, 'onProgress'>
): Promise<readonly PlannedFile[]> {
  try {
    await exportPath(store, plan, target, { ...options, mode: 'link', isLinkedOnce: true })
    return plan.files
  } catch (error) {
    if (!(error instanceof UnsupportedExportModeError)) throw error
  }
  await exportPath(store, plan, target, options)
  return []
}

async function makeWritable(path: string): Promise<void> {
  await explained(`cannot make ${path} writable`, async () => {
    const { nlink } = await stat(path)
    if (nlink === 1) await chmod(path, DEFAULT_MODE & ~process.umask())
  })
}
