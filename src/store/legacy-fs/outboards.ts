/**
 * Outboards that are not there: folders of iroh-blobs keep small ones inside their database, and files get lost. They are
 * computed from the data, which checks the data, and written beside it.
 */
import { rename, rm } from 'node:fs/promises'
import { OutboardBuilder } from '../../bao/outboard.ts'
import type { Hash } from '../../hash.ts'
import { BlobDamagedError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import { readInputFile } from '../input-file.ts'
import type { FsContext } from './context.ts'
import { type FoundComplete, findComplete } from './found.ts'
import { OutboardSpool } from './outboard-spool.ts'

export class Outboards {
  readonly #context: FsContext
  readonly #running = new Map<string, Promise<boolean>>()
  /** Versions of data files that have another hash than their name says. */
  readonly #damaged = new Map<string, string>()

  constructor(context: FsContext) {
    this.#context = context
  }

  /**
   * Whether a complete blob can be served. If its outboard is not there, it is computed, once, which takes as long as
   * hashing the blob.
   *
   * @returns false when the data is not what the hash says
   */
  async ensure(hash: Hash, found: FoundComplete): Promise<boolean> {
    if (this.#isDamaged(hash, found)) return false
    if (found.hasOutboard) return true
    const key = hash.toString()
    let running = this.#running.get(key)
    if (running === undefined) {
      running = this.#compute(hash, found).finally(() => this.#running.delete(key))
      this.#running.set(key, running)
    }
    return await running
  }

  /** @throws BlobDamagedError when it has turned out before that the data is not what the hash says */
  async checkNotDamaged(hash: Hash): Promise<void> {
    if (!this.#damaged.has(hash.toString())) return
    const found = await findComplete(this.#context.layout, hash)
    if (found !== undefined && this.#isDamaged(hash, found)) throw this.#damage(hash)
  }

  #isDamaged(hash: Hash, found: FoundComplete): boolean {
    return this.#damaged.get(hash.toString()) === found.version
  }

  #damage(hash: Hash): BlobDamagedError {
    return new BlobDamagedError(hash, `${this.#context.layout.data(hash)} does not have this hash`)
  }

  async #compute(hash: Hash, found: FoundComplete): Promise<boolean> {
    const { layout, temp, isSynced, dataSync } = this.#context
    const spool = new OutboardSpool(temp.newPath())
    const path = temp.newPath()
    try {
      const builder = new OutboardBuilder(spool.add)
      for await (const bytes of readInputFile(layout.data(hash))) {
        builder.push(bytes)
        await spool.relieve()
      }
      const blob = builder.finish()
      if (!blob.hash.equals(hash)) {
        this.#damaged.set(hash.toString(), found.version)
        this.#context.notice(this.#damage(hash).message)
        return false
      }
      await explained(`cannot write ${layout.outboard(hash)}`, async () => {
        await spool.write(path, blob, isSynced)
        await rename(path, layout.outboard(hash))
        await dataSync.sync()
      })
      // It may have been deleted meanwhile.
      if ((await findComplete(layout, hash)) === undefined) await rm(layout.outboard(hash), { force: true })
      return true
    } finally {
      await spool.close()
      await rm(path, { force: true })
    }
  }
}
