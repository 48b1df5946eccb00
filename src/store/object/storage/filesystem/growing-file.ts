/** An object that grows in place: a file that gets its name when it is saved for the first time, and is written to further. */
import { fstatSync } from 'node:fs'
import type { CopyTarget } from '../../../hash-pool/messages.ts'
import { SharedSync } from '../../../shared-sync.ts'
import { allDone } from '../../../waiting.ts'
import { readAll } from '../../../write-all.ts'
import { ObjectNotFoundError, ObjectTooShortError } from '../errors.ts'
import type { Slice, StorageOptions } from '../index.ts'
import type { GrowingObject, Note } from '../local-files.ts'
import { explained } from './errors.ts'
import type { NewFile } from './new-file.ts'
import { look, type Paths } from './paths.ts'

/** What a growing file needs of the storage. */
export interface GrowingOwner {
  readonly name: string
  readonly paths: Paths
  /** Copies a slice of an object to a place in the file. */
  copy(slice: Slice, file: NewFile, offset: number, signal: AbortSignal | undefined): Promise<void>
  /** Makes the file the object of a key. */
  place(file: string, key: string): Promise<void>
  /** Writes an object into a folder that is there, and lasts. It gets its key when `placing` has resolved; else there is none. */
  put(key: string, pieces: readonly Uint8Array[], placing: Promise<void>): Promise<void>
  closed(file: GrowingFile): void
}

export class GrowingFile implements GrowingObject {
  readonly #file: NewFile
  readonly #owner: GrowingOwner
  readonly #inode: number
  readonly #syncs: SharedSync
  #placing: Promise<void> | undefined
  #isPlaced: boolean
  /** Where its key leads to. */
  #path: string | undefined
  #closing: Promise<void> | undefined

  /** @param isPlaced whether it has its key */
  constructor(file: NewFile, owner: GrowingOwner, isPlaced: boolean) {
    this.#file = file
    this.#owner = owner
    this.#isPlaced = isPlaced
    this.#inode = fstatSync(file.handle.fd).ino
    this.#syncs = new SharedSync(() => file.sync())
  }

  async target(): Promise<CopyTarget> {
    return await this.#file.target()
  }

  async write(pieces: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#explained('write', undefined, () => this.#file.write(pieces, offset))
  }

  async copy(slice: Slice, offset: number, { signal }: StorageOptions = {}): Promise<void> {
    await this.#explained('write', signal, () => this.#owner.copy(slice, this.#file, offset, signal))
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    await this.#explained('read', undefined, async () => {
      if (await readAll(this.#file.handle, [target], offset)) return
      throw new ObjectTooShortError(
        `cannot read ${target.length} bytes at ${offset} of ${this.#file.path}: it ends before`
      )
    })
  }

  async save(key: string, note?: Note): Promise<void> {
    const saving = this.#explained('save', undefined, async () => {
      await this.#syncs.sync()
      this.#placing ??= this.#place(key)
      await this.#placing
      this.#path ??= this.#owner.paths.file(key)
      if (look(this.#path)?.ino !== this.#inode) throw new ObjectNotFoundError(key, this.#owner.name)
    })
    // The disk takes both at the same time; the note gets its key when this one is there.
    if (note === undefined) await saving
    else await allDone([saving, this.#owner.put(note.key, note.pieces, saving)])
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #place(key: string): Promise<void> {
    if (this.#isPlaced) return
    await this.#owner.place(this.#file.path, key)
    this.#isPlaced = true
  }

  async #close(): Promise<void> {
    await this.#placing?.catch(() => undefined)
    await (this.#isPlaced ? this.#file.close() : this.#file.discard())
    this.#owner.closed(this)
  }

  async #explained<T>(doing: string, signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    return await explained(`cannot ${doing} ${this.#file.path}`, signal, action)
  }
}
