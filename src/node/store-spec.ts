/** Naming a store in one line: a home folder, or `legacy:FOLDER`, `filesystem:FOLDER`, `s3://…`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { StoreError } from '../store/errors.ts'
import { exists } from '../store/folders.ts'
import { explained } from '../store/fs-errors.ts'
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { LegacyFsStore } from '../store/legacy-fs/index.ts'
import type { StorageSpec } from '../store/object/index.ts'
import { parseS3Url } from '../store/object/storage/s3/url.ts'
import { requireHome } from './home.ts'
import { isUrl, UnexpectedUrlError } from './home-path.ts'
import { loadConfig } from './load-config.ts'
import { type OpenStoreOptions, openStore } from './open-store.ts'
import { requireFolderOf } from './store-folder.ts'

/** How a store can be named. */
const FORMS =
  'its home folder, or as legacy:FOLDER, filesystem:FOLDER or s3://key:secret@host:port/bucket[/prefix]'

export interface OpenSpecOptions extends OpenStoreOptions, WaitOptions {
  /** Whether the store is going to be read: a folder then has to be there, and objects are listed first. */
  readonly isSource: boolean
}

/** A store that was named so. */
export interface OpenSpec extends AsyncDisposable {
  readonly store: BlobStore
  /** What it is called in messages, without secrets. */
  readonly name: string
}

/**
 * Opens the store that a text names.
 *
 * Objects that are named without a home have no database: one is made for the time it is open. A home that uses the same
 * objects learns of what was written by `blobs recover`. A source is only read when it is named so: what is damaged in it stays
 * where it is.
 *
 * @throws NoHomeError, InvalidConfigError, OtherStoreError, InvalidS3OptionsError, UnexpectedUrlError, StoreError
 */
export async function openSpec(text: string, options: OpenSpecOptions): Promise<OpenSpec> {
  if (/^s3:/i.test(text)) {
    const spec: StorageSpec = { type: 's3', ...parseS3Url(text) }
    return await openBareObjects(spec, `bucket ${spec.bucket} at ${spec.endpoint}`, options)
  }
  const [, type, folder] = /^(legacy|filesystem):(.+)$/s.exec(text) ?? []
  if (isUrl(folder ?? text)) throw new UnexpectedUrlError(`this URL is no store; one is named by ${FORMS}`)
  if (type === undefined || folder === undefined) return await openHomeStore(resolve(text), options)
  const path = resolve(folder)
  if (options.isSource && !(await exists(path))) throw new StoreError(`there is no folder ${path}`)
  if (type === 'filesystem') {
    await requireFolderOf('filesystem', path)
    return await openBareObjects({ type, path }, `folder ${path}`, options)
  }
  await requireFolderOf('legacy', path)
  const store = await LegacyFsStore.open(path, { onNotice: options.onWarning })
  return { store, name: `folder ${path}`, [Symbol.asyncDispose]: () => store.close() }
}

async function openHomeStore(home: string, options: OpenSpecOptions): Promise<OpenSpec> {
  await requireHome(home)
  const store = await openStore(await loadConfig(home), home, options)
  return { store, name: `home ${home}`, [Symbol.asyncDispose]: () => store.close() }
}

/** Objects with a database of their own, which is in a file since millions of rows do not belong into memory. */
async function openBareObjects(
  storage: StorageSpec,
  name: string,
  { isSource, onWarning, signal }: OpenSpecOptions
): Promise<OpenSpec> {
  const { ObjectStore } = await import('../store/object/index.ts')
  const folder = await explained('cannot make a folder for a database', () =>
    mkdtemp(join(tmpdir(), 'blobs-copy-'))
  )
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  try {
    // What it does not know, tags too, it looks up: that is all that a target needs. That it knows nothing at first is no news.
    let isOpen = false
    const store = await ObjectStore.open({
      dbPath: join(folder, 'blobs.db'),
      storage,
      readThrough: true,
      leaveAsIs: isSource,
      onNotice: message => {
        if (isOpen) onWarning?.(message)
      }
    })
    isOpen = true
    const close = async (): Promise<void> => {
      await store.close()
      await removeFolder()
    }
    try {
      if (isSource) await store.recoverFromStorage({ fast: true, signal })
    } catch (error) {
      await close()
      throw error
    }
    return { store, name, [Symbol.asyncDispose]: close }
  } catch (error) {
    await removeFolder()
    throw error
  }
}
