/** Objects as files below a folder. */
import { fstatSync } from 'node:fs'
import { type FileHandle, readdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { syncFolder } from '../../../folders.ts'
import { isNotFound } from '../../../fs-errors.ts'
import { makeFolder } from '../../../make-folder.ts'
import { TempFolder } from '../../../temp.ts'
import { allDone } from '../../../waiting.ts'
import { checkCompose, checkInside, checkKey, checkPut, checkSlice, checkUpload } from '../checks.ts'
import { ObjectNotFoundError, StorageError } from '../errors.ts'
import type {
  ListOptions,
  ObjectInfo,
  ObjectStorage,
  Slice,
  StorageOptions,
  SweepOptions,
  Upload
} from '../index.ts'
import type { LocalFiles } from '../local-files.ts'
import { checkSources, copySlices } from './copy.ts'
import { explained, toStorageError } from './errors.ts'
import { FolderSyncs } from './folder-syncs.ts'
import { GrowingFile } from './growing-file.ts'
import { listObjects } from './list.ts'
import { NewFile } from './new-file.ts'
import { openObject } from './open-object.ts'
import { look, Paths } from './paths.ts'
import { pieces } from './pieces.ts'
import { Tree } from './tree.ts'
import { FilesystemUpload } from './upload.ts'

export interface FilesystemStorageOptions {
  /**
   * `full`: what has been written is there after a power failure, and what has been deleted is not. A small object waits for
   * the disk, a few milliseconds on most.
   *
   * `none`: nothing waits for the disk. A killed process loses nothing, but after a power failure objects may be missing or
   * damaged.
   *
   * @default 'full'
   */
  readonly sync?: 'full' | 'none' | undefined
}

const TEMP = '.temp'
const UPLOADS = '.uploads'

export class FilesystemStorage implements ObjectStorage {
  readonly name: string
  readonly files: LocalFiles = {
    open: async key => await this.#open(key),
    begin: async () => await this.#grow(() => NewFile.make(this.#temp.newPath(), this.#isSynced), false),
    resume: async key => await this.#resume(key)
  }
  readonly #paths: Paths
  readonly #isSynced: boolean
  readonly #tree: Tree
  readonly #temp: TempFolder
  readonly #uploadFiles: TempFolder
  readonly #uploads = new Set<FilesystemUpload>()
  readonly #growing = new Set<GrowingFile>()
  readonly #reading = new Set<FileHandle>()
  #isClosed = false

  private constructor(root: string, isSynced: boolean) {
    this.name = `folder ${root}`
    this.#paths = new Paths(root)
    this.#isSynced = isSynced
    this.#tree = new Tree(this.#paths, new FolderSyncs(isSynced))
    this.#temp = new TempFolder(join(root, TEMP))
    this.#uploadFiles = new TempFolder(join(root, UPLOADS))
  }

  /**
   * Opens a folder, which is made when it is not there, and removes what killed processes have left in it.
   *
   * @throws StorageAccessError, StorageError
   */
  static async open(folder: string, options: FilesystemStorageOptions = {}): Promise<FilesystemStorage> {
    const root = resolve(folder)
    const isSynced = options.sync !== 'none'
    const storage = new FilesystemStorage(root, isSynced)
    await explained(`cannot open folder ${root}`, undefined, async () => {
      const made = makeFolder(root)
      for (const name of [TEMP, UPLOADS]) makeFolder(join(root, name))
      if (made !== undefined && isSynced) await syncUpTo(root, dirname(made))
      await storage.#temp.sweep()
      await storage.#uploadFiles.sweep()
    })
    return storage
  }

  async put(key: string, parts: readonly Uint8Array[], options: StorageOptions = {}): Promise<void> {
    await this.#put(key, parts, options)
  }

  async upload(key: string, partBytes: number, options: StorageOptions = {}): Promise<Upload> {
    this.#begin(options)
    checkUpload(key, partBytes)
    return await explained(`cannot write ${key} in ${this.name}`, options.signal, async () => {
      const file = await NewFile.make(this.#uploadFiles.newPath(), this.#isSynced)
      const upload = new FilesystemUpload(key, partBytes, file, {
        name: this.name,
        copy: async (...args) => await this.#copy(...args),
        place: async path => await this.#tree.place(path, key, () => this.#sweptError(key)),
        ended: () => this.#uploads.delete(upload)
      })
      this.#uploads.add(upload)
      return upload
    })
  }

  async *read(slice: Slice, options: StorageOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.#begin(options)
    checkSlice(slice)
    let file: FileHandle | undefined
    try {
      file = await openObject(this.#paths, slice.key, this.name)
      this.#reading.add(file)
      checkInside(slice, fstatSync(file.fd).size, this.name)
      for await (const piece of pieces(file, slice, this.name, options.signal)) {
        this.#begin(options)
        yield piece
      }
    } catch (error) {
      this.#begin(options)
      throw toStorageError(error, `cannot read ${slice.key} in ${this.name}`)
    } finally {
      if (file !== undefined) {
        this.#reading.delete(file)
        await file.close()
      }
    }
  }

  async stat(key: string, options: StorageOptions = {}): Promise<ObjectInfo | undefined> {
    this.#begin(options)
    checkKey(key)
    return await explained(`cannot look at ${key} in ${this.name}`, options.signal, async () => {
      const stats = this.#paths.stats(key)
      return stats && { key, size: stats.size, modifiedAt: Math.floor(stats.mtimeMs) }
    })
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo, void, undefined> {
    this.#begin(options)
    try {
      for await (const info of listObjects(this.#paths, options)) {
        yield info
        this.#begin(options)
      }
    } catch (error) {
      this.#begin(options)
      throw toStorageError(error, `cannot list ${this.name}`)
    }
  }

  async delete(keys: readonly string[], options: StorageOptions = {}): Promise<void> {
    this.#begin(options)
    keys.forEach(checkKey)
    await explained(`cannot delete in ${this.name}`, options.signal, async () => {
      await this.#tree.delete(keys, options.signal)
    })
  }

  async compose(key: string, slices: readonly Slice[], options: StorageOptions = {}): Promise<void> {
    const { signal } = options
    this.#begin(options)
    checkCompose(key, slices)
    const size = slices.reduce((sum, { length }) => sum + length, 0)
    await checkSources(this.#paths, slices, this.name, signal)
    await this.#write(key, size, options, async file => {
      await copySlices(this.#paths, slices, file, this.name, signal)
    })
  }

  async move(from: string, to: string, options: StorageOptions = {}): Promise<void> {
    this.#begin(options)
    checkKey(from)
    checkKey(to)
    await explained(`cannot move ${from} to ${to} in ${this.name}`, options.signal, async () => {
      await this.#tree.move(from, to, () => new ObjectNotFoundError(from, this.name))
    })
  }

  async sweepUploads(before: number, options: SweepOptions = {}): Promise<void> {
    this.#begin(options)
    for (const upload of this.#uploads) {
      if (upload.begunAt < before && (options.of?.(upload.key) ?? true)) await upload.abort()
    }
    const open = new Set(Array.from(this.#uploads, ({ path }) => path))
    await explained(`cannot sweep ${this.name}`, options.signal, async () => {
      const folder = join(this.#paths.root, UPLOADS)
      for (const name of await readdir(folder)) {
        options.signal?.throwIfAborted()
        const path = join(folder, name)
        const stats = open.has(path) ? undefined : look(path)
        // Not every file system remembers when a file was made.
        if (stats !== undefined && (stats.birthtimeMs || stats.mtimeMs) < before) {
          await rm(path, { force: true })
        }
      }
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const upload of this.#uploads) await upload.abort()
    for (const file of this.#growing) await file.close()
    for (const file of this.#reading) await file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #open(key: string): Promise<FileHandle> {
    this.#begin({})
    checkKey(key)
    return await explained(`cannot read ${key} in ${this.name}`, undefined, () =>
      openObject(this.#paths, key, this.name)
    )
  }

  async #resume(key: string): Promise<GrowingFile> {
    checkKey(key)
    const open = async (): Promise<NewFile> => {
      const missing = (cause?: unknown): Error => new ObjectNotFoundError(key, this.name, { cause })
      if (this.#paths.stats(key) === undefined) throw missing()
      return await NewFile.resume(this.#paths.file(key), this.#isSynced).catch(error => {
        throw isNotFound(error) ? missing(error) : error
      })
    }
    return await explained(`cannot write ${key} in ${this.name}`, undefined, () => this.#grow(open, true))
  }

  async #grow(open: () => Promise<NewFile>, isPlaced: boolean): Promise<GrowingFile> {
    this.#begin({})
    const file = await explained(`cannot write in ${this.name}`, undefined, open)
    const growing: GrowingFile = new GrowingFile(
      file,
      {
        name: this.name,
        paths: this.#paths,
        copy: async (...args) => await this.#copy(...args),
        place: async (path, key) => await this.#tree.place(path, key, () => this.#sweptError(key)),
        put: async (key, pieces, placing) => await this.#put(key, pieces, {}, placing),
        closed: () => this.#growing.delete(growing)
      },
      isPlaced
    )
    this.#growing.add(growing)
    return growing
  }

  /** Copies a slice of an object to a place in a file. */
  async #copy(slice: Slice, target: NewFile, offset: number, signal: AbortSignal | undefined): Promise<void> {
    await checkSources(this.#paths, [slice], this.name, signal)
    await copySlices(this.#paths, [slice], target, this.name, signal, offset)
  }

  async #put(
    key: string,
    parts: readonly Uint8Array[],
    options: StorageOptions,
    placing?: Promise<void>
  ): Promise<void> {
    this.#begin(options)
    const size = checkPut(key, parts)
    await this.#write(key, size, options, async file => await file.write(parts, 0), placing)
  }

  /**
   * Writes a new file and makes it the object of the key.
   *
   * @param placing what is to be waited for before the file gets its key; then the folder is on disk
   */
  async #write(
    key: string,
    size: number,
    { signal }: StorageOptions,
    fill: (file: NewFile) => Promise<void>,
    placing?: Promise<void>
  ): Promise<void> {
    await explained(`cannot write ${key} in ${this.name}`, signal, async () => {
      const file = await NewFile.make(this.#temp.newPath(), this.#isSynced)
      try {
        await fill(file)
        await file.finish(size)
        await placing
        signal?.throwIfAborted()
        // At the same time: each turn through another thread and back takes some ms while a blob arrives at full speed.
        await allDone([
          file.close(),
          this.#tree.place(file.path, key, () => this.#sweptError(key), placing !== undefined)
        ])
      } catch (error) {
        await file.discard()
        throw error
      }
    })
  }

  #begin({ signal }: StorageOptions): void {
    signal?.throwIfAborted()
    if (this.#isClosed) throw new StorageError(`${this.name} has been closed`)
  }

  #sweptError(key: string): StorageError {
    return new StorageError(
      `cannot write ${key} in ${this.name}: what had been written was removed, because it is old or by somebody; write it again`
    )
  }
}

/** Makes a folder's name last, and those of the folders above it, up to `top`. */
async function syncUpTo(path: string, top: string): Promise<void> {
  for (let folder = dirname(path); folder.length >= top.length; folder = dirname(folder)) {
    await syncFolder(folder)
    if (folder === top) return
  }
}
