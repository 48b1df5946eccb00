/** Writing blobs and collections from a store to files: whole under their final name, or not there at all. */
import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TargetExistsError } from '../store/errors.ts'
import { exists, renameToNew, syncFolder } from '../store/folders.ts'
import { explained } from '../store/fs-errors.ts'
import type { BlobStore, ExportMode, WaitOptions } from '../store/index.ts'
import { forEachBounded } from './bounded.ts'
import type { ExportPlan, PlannedFile } from './export-plan.ts'

/**
 * Files that are written at the same time. Each is waited for until it is on disk; together, the disk can do that in fewer turns.
 * Raising it keeps more files, and 3 MiB of memory for each, in use; lowering it makes many small files slower.
 */
export const EXPORT_CONCURRENCY = 16

interface AnyExportOptions extends WaitOptions {
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined
}

export type ExportPathOptions = AnyExportOptions &
  (
    | {
        /**
         * How the files are made.
         *
         * @default 'copy'
         */
        readonly mode?: Exclude<ExportMode, 'move'> | undefined
        /**
         * With `link`: of a blob that is several files, whether only one is linked, so that they do not share their bytes.
         *
         * @default false
         */
        readonly isLinkedOnce?: boolean | undefined
        readonly workFolder?: undefined
      }
    | {
        /** Takes one blob after the other out of the store, without copying where that is possible. See `moveOut`, too. */
        readonly mode: 'move'
        readonly isLinkedOnce?: undefined
        /**
         * Where to write the tree first: a folder that is not there yet, on the target's file system. It stays, since when the
         * export fails, the blobs are in it, and no longer in the store.
         */
        readonly workFolder: string
      }
  )

export interface ExportProgress {
  /** Files that are written. */
  readonly files: number
  /** Bytes that are written or, without a copy, checked. */
  readonly bytes: number
}

/**
 * Writes what a plan says to `target`. The tree is written somewhere else first, and renamed when it is whole; whatever fails,
 * nothing is left under the target's name.
 *
 * @throws TargetExistsError when there is something at `target`
 * @throws BlobNotFoundError when a blob is not complete, CorruptSourceError when one is damaged, UnsupportedExportModeError,
 *   StoreError, StoreFullError
 */
export async function exportPath(
  store: BlobStore,
  plan: ExportPlan,
  target: string,
  options: ExportPathOptions = {}
): Promise<void> {
  await checkFree(target)
  const work = options.workFolder ?? join(dirname(target), `.${randomBytes(6).toString('hex')}.part`)
  const tree = join(work, basename(target))
  try {
    await explained(`cannot write ${target}`, async () => {
      await mkdir(work)
      if (plan.kind === 'folder') await mkdir(tree)
    })
    await writeFiles(store, plan, tree, options)
    await explained(`cannot write ${target}`, () => putInPlace(tree, target, plan.kind))
  } finally {
    // What a failed `move` has taken out of the store is the caller's, in the folder that the caller chose.
    if (options.workFolder === undefined) await rm(work, { recursive: true, force: true })
  }
}

/** @throws TargetExistsError */
export async function checkFree(target: string): Promise<void> {
  if (await explained(`cannot look at ${target}`, () => exists(target))) throw new TargetExistsError(target)
}

async function writeFiles(
  store: BlobStore,
  { files, kind }: ExportPlan,
  tree: string,
  { mode = 'copy', isLinkedOnce = false, signal, onProgress }: ExportPathOptions
): Promise<void> {
  const folders = new Set<string>(kind === 'folder' ? [tree] : [])
  let written = 0
  let bytes = 0
  const write = async ({ hash, segments }: PlannedFile, as: ExportMode, stop: AbortSignal) => {
    const path = join(tree, ...segments)
    const folder = dirname(path)
    if (segments.length > 1 && !folders.has(folder)) {
      await explained(`cannot write ${path}`, () => mkdir(folder, { recursive: true }))
      // Those in between may have come into being as well.
      for (let i = 1; i < segments.length; i++) folders.add(join(tree, ...segments.slice(0, i)))
    }
    let ofFile = 0
    const onBytes = (now: number): void => {
      bytes += now - ofFile
      ofFile = now
      onProgress?.({ files: written, bytes })
    }
    await store.exportPath(hash, path, { mode: as, isNameSynced: false, signal: stop, onProgress: onBytes })
    written++
    onProgress?.({ files: written, bytes })
  }
  const writeAll = async (some: Iterable<PlannedFile>, as: ExportMode): Promise<void> =>
    await forEachBounded(some, EXPORT_CONCURRENCY, (file, stop) => write(file, as, stop), signal)
  const finish = async (): Promise<void> =>
    await forEachBounded(folders, EXPORT_CONCURRENCY, async folder => {
      await explained(`cannot write ${folder}`, () => syncFolder(folder))
    })
  if (mode !== 'move' && !isLinkedOnce) {
    await writeAll(files, mode)
    return await finish()
  }
  // A blob that is several files is taken out of the store with the last of them.
  const last = new Map(files.map(file => [file.hash.toString(), file]))
  const copies = files.filter(file => last.get(file.hash.toString()) !== file)
  await writeAll(copies, 'copy')
  await writeAll(last.values(), mode)
  await finish()
}

async function putInPlace(tree: string, target: string, kind: ExportPlan['kind']): Promise<void> {
  if (kind === 'file') {
    await renameToNew(tree, target)
  } else {
    // Files are never replaced by a folder, nor folders with something in them.
    await checkFree(target)
    await rename(tree, target)
  }
  await syncFolder(dirname(target))
}
