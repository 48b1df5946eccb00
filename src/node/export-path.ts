/** Writing blobs and collections from a store to files: whole under their final name, or not there at all. */
import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TargetExistsError } from '../store/errors.ts'
import { exists, renameToNew, syncFolder } from '../store/folders.ts'
import { explained } from '../store/fs-errors.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { forEachBounded } from './bounded.ts'
import type { ExportPlan, PlannedFile } from './export-plan.ts'

/** Files that are written at the same time. Raising it keeps more files open; lowering it makes many small files slower. */
export const EXPORT_CONCURRENCY = 4

export interface ExportPathOptions extends WaitOptions {
  /**
   * `move` takes the blobs out of the store, without copying them where that is possible.
   *
   * @default 'copy'
   */
  readonly mode?: 'copy' | 'move' | undefined
  /**
   * Where to write the tree first: a folder that is not there yet, on the target's file system. When it is given, it stays.
   *
   * @default a hidden folder beside the target
   */
  readonly workFolder?: string | undefined
  /** Called with the number of files that are written. */
  readonly onProgress?: ((files: number) => void) | undefined
}

/**
 * Writes what a plan says to `target`. The tree is written somewhere else first, and renamed when it is whole; whatever fails,
 * nothing is left under the target's name.
 *
 * @throws TargetExistsError when there is something at `target`
 * @throws BlobNotFoundError when a blob is not complete, CorruptSourceError when one is damaged, StoreError, StoreFullError
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
    await writeFiles(store, plan.files, tree, options)
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
  files: readonly PlannedFile[],
  tree: string,
  { mode, signal, onProgress }: ExportPathOptions
): Promise<void> {
  const folders = new Set<string>()
  let written = 0
  const write = async ({ hash, segments }: PlannedFile, as: 'copy' | 'move', stop: AbortSignal) => {
    const path = join(tree, ...segments)
    const folder = dirname(path)
    if (segments.length > 1 && !folders.has(folder)) {
      await explained(`cannot write ${path}`, () => mkdir(folder, { recursive: true }))
      folders.add(folder)
    }
    await store.exportPath(hash, path, { mode: as, signal: stop })
    onProgress?.(++written)
  }
  if (mode !== 'move') {
    await forEachBounded(files, EXPORT_CONCURRENCY, (file, stop) => write(file, 'copy', stop), signal)
    return
  }
  // A blob that is several files is taken out of the store with the last of them.
  const last = new Map(files.map(file => [file.hash.toString(), file]))
  const isLast = (file: PlannedFile): boolean => last.get(file.hash.toString()) === file
  const copies = files.filter(file => !isLast(file))
  await forEachBounded(copies, EXPORT_CONCURRENCY, (file, stop) => write(file, 'copy', stop), signal)
  await forEachBounded(last.values(), EXPORT_CONCURRENCY, (file, stop) => write(file, 'move', stop), signal)
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
