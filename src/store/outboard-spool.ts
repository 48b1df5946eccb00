/** Keeps the outboards of runs while a blob streams by, and writes them in their final order when its size is known. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PAIR_BYTES, RUN_GROUPS } from '../bao/constants.ts'
import { groupCount, runOutboardOffset } from '../bao/geometry.ts'
import type { HashedBlob, RunOutboard } from '../bao/outboard.ts'
import { StoreError } from './errors.ts'
import { readAll, writeAll } from './write-all.ts'

/** Bytes of outboard that are kept in memory, enough for 260 MiB of data; beyond, they go to a temporary file. */
const KEPT_BYTES = 1024 * 1024

/** Bytes of outboard of a full run. Only the last run can have fewer. */
const FULL_RUN_BYTES = (RUN_GROUPS - 1) * PAIR_BYTES

/** Runs that are read back at a time. */
const RUNS_PER_READ = 64

/** Bytes that are gathered for one write. */
const WRITE_BYTES = 256 * 1024

export class OutboardSpool {
  readonly #path: string
  readonly #isNameless: boolean
  /** Open from when it is made until the end, if it is nameless. */
  #file: FileHandle | undefined
  #kept: Uint8Array[] = []
  #keptBytes = 0
  #spooledRuns = 0
  #isThere = false

  /**
   * @param path of a file to make when memory is not enough, in a folder that is swept of what killed processes leave
   * @param isNameless whether the file loses its name at once, because nobody sweeps there
   */
  constructor(path: string, isNameless = false) {
    this.#path = path
    this.#isNameless = isNameless
  }

  /**
   * One whose file is among the system's temporary ones. Having no name, it is gone when the process ends, however it ends. It
   * takes a file handle until it is closed.
   */
  static inSystemFolder(): OutboardSpool {
    return new OutboardSpool(join(tmpdir(), `blobs-${randomBytes(12).toString('hex')}.outboard`), true)
  }

  readonly add = ({ pairs }: RunOutboard): void => {
    this.#kept.push(pairs.slice())
    this.#keptBytes += pairs.length
  }

  /** Empties the memory when it is full. To be called now and then, not after the last run. */
  async relieve(): Promise<void> {
    if (this.#keptBytes < KEPT_BYTES) return
    await this.#withFile(file => writeAll(file, this.#kept, this.#spooledRuns * FULL_RUN_BYTES))
    this.#spooledRuns += this.#kept.length
    this.#kept = []
    this.#keptBytes = 0
  }

  /** Writes the whole outboard to a new file. */
  async write(path: string, blob: HashedBlob, isSynced: boolean): Promise<void> {
    const file = await open(path, 'wx')
    try {
      let pieces: Uint8Array[] = []
      let gathered = 0
      let written = 0
      for await (const piece of this.inOrder(blob)) {
        pieces.push(piece)
        gathered += piece.length
        if (gathered < WRITE_BYTES) continue
        await writeAll(file, pieces, written)
        written += gathered
        pieces = []
        gathered = 0
      }
      await writeAll(file, pieces, written)
      if (isSynced) await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Removes the temporary file. */
  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    if (this.#isThere) await rm(this.#path, { force: true })
  }

  /** The whole outboard in its final order: the nodes above the runs, and between them the runs. */
  async *inOrder({ size, top }: HashedBlob): AsyncGenerator<Uint8Array, void, undefined> {
    const groups = groupCount(size)
    let next = 0
    let run = 0
    for await (const pairs of this.#runs()) {
      const offset = runOutboardOffset(run++, groups)
      while (next < top.length && top[next]!.offset < offset) yield top[next++]!.bytes
      if (pairs.length > 0) yield pairs
    }
  }

  async *#runs(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#spooledRuns > 0) yield* this.#readBack()
    yield* this.#kept
  }

  async *#readBack(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let run = 0; run < this.#spooledRuns; run += RUNS_PER_READ) {
      const count = Math.min(RUNS_PER_READ, this.#spooledRuns - run)
      const pairs = new Uint8Array(count * FULL_RUN_BYTES)
      if (!(await this.#withFile(file => readAll(file, [pairs], run * FULL_RUN_BYTES)))) {
        throw new StoreError(`${this.#path} was cut off while it was in use; add the blob again`)
      }
      for (let at = 0; at < pairs.length; at += FULL_RUN_BYTES) yield pairs.subarray(at, at + FULL_RUN_BYTES)
    }
  }

  /** A file with a name is open for no longer than needed: many blobs may be waiting for their next bytes. */
  async #withFile<T>(action: (file: FileHandle) => Promise<T>): Promise<T> {
    if (this.#isNameless) {
      this.#file ??= await this.#makeNameless()
      return await action(this.#file)
    }
    const file = await open(this.#path, this.#isThere ? 'r+' : 'wx')
    this.#isThere = true
    try {
      return await action(file)
    } finally {
      await file.close()
    }
  }

  async #makeNameless(): Promise<FileHandle> {
    const file = await open(this.#path, 'wx+')
    try {
      await rm(this.#path)
    } catch (error) {
      // Windows may keep the name of a file that is open: there it is removed at the end.
      this.#isThere = process.platform === 'win32'
      if (this.#isThere) return file
      await file.close()
      throw error
    }
    return file
  }
}
