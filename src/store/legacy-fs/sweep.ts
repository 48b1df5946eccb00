/** One collection of garbage in a folder that other processes may be using. How they keep apart is told in `leases.ts`. */
import type { Hash } from '../../hash.ts'
import { HandleClosedError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import type { Root, Sweep, WaitOptions } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import type { FsLeases } from './leases.ts'
import type { FsTags } from './tags.ts'

/** Blobs whose files are deleted at the same time. */
const AT_ONCE = 8

export interface FsSweepHome {
  readonly leases: FsLeases
  readonly tags: FsTags
  readonly lifetime: Lifetime
  /** Deletes a blob unless it is being written. @returns whether it is gone */
  remove(hash: Hash): Promise<boolean>
  /** Waits until what was deleted is gone from the disk. */
  sync(): Promise<void>
}

export class FsSweep implements Sweep {
  readonly #home: FsSweepHome
  readonly #id: string
  /** Leases that had ended before this began. */
  readonly #ended: ReadonlySet<string>
  /** How far each lease was read, in bytes. */
  readonly #read = new Map<string, number>()
  #isClosed = false

  private constructor(home: FsSweepHome, id: string, ended: ReadonlySet<string>) {
    this.#home = home
    this.#id = id
    this.#ended = ended
  }

  static async begin(home: FsSweepHome): Promise<FsSweep> {
    return await explained('cannot begin to collect garbage', async () => {
      const { leases } = home
      await leases.tidy()
      const id = leases.newId()
      const file = await leases.make(id, 'gc')
      try {
        await file.close()
        // From here on, nobody who releases a lease takes it away.
        const notes = await leases.leases()
        const areAlive = await leases.areAlive(notes)
        const ended = notes.filter(({ kind }, i) => kind === 'released' || !areAlive[i])
        return new FsSweep(home, id, new Set(ended.map(note => note.id)))
      } catch (error) {
        await leases.remove(id, 'gc')
        throw error
      }
    })
  }

  /**
   * Tags first: what has gone over from a lease to a tag since has left its lease to be read.
   *
   * @throws GarbageUnknownError when there is a tag that cannot be read
   */
  async *roots(options: WaitOptions = {}): AsyncGenerator<Root, void, undefined> {
    for await (const { name: tag, hash, format } of this.#home.tags.listForSweep(options)) {
      yield { hash, format, tag }
    }
    yield* await this.#freshRoots()
  }

  async delete(
    hashes: readonly Hash[],
    hold: (fresh: readonly Root[]) => Promise<ReadonlySet<string>>
  ): Promise<readonly Hash[]> {
    return await this.#home.lifetime.run(undefined, signal =>
      explained('cannot collect garbage', async () => {
        if (this.#isClosed) throw new HandleClosedError('collection of garbage')
        const { leases } = this.#home
        const gate = await leases.make(this.#id, 'gate')
        try {
          await gate.close()
          const held = new Set<string>()
          for (;;) {
            const fresh = await this.#freshRoots()
            if (fresh.length === 0) break
            for (const hex of await hold(fresh)) held.add(hex)
          }
          return await this.#deleteAll(
            hashes.filter(hash => !held.has(hash.toString())),
            signal
          )
        } finally {
          await leases.remove(this.#id, 'gate')
        }
      })
    )
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const { leases, lifetime } = this.#home
    await leases.remove(this.#id, 'gc')
    // A closed store leaves tidying up to others: its folder may be gone by now.
    if (!lifetime.isOver) await leases.tidy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What leases protect since this was asked last. Every change of a tag is noted by a lease first. */
  async #freshRoots(): Promise<Root[]> {
    const { leases } = this.#home
    const fresh: Root[] = []
    for (const { id } of await leases.leases()) {
      if (this.#ended.has(id)) continue
      const from = this.#read.get(id) ?? 0
      const more = await leases.read(id, from)
      if (more === undefined) continue
      this.#read.set(id, more.end)
      fresh.push(...more.roots)
    }
    return fresh
  }

  async #deleteAll(hashes: Hash[], signal: AbortSignal): Promise<Hash[]> {
    const gone: Hash[] = []
    const worker = async (): Promise<void> => {
      for (let hash = hashes.pop(); hash !== undefined; hash = hashes.pop()) {
        signal.throwIfAborted()
        for (const kind of ['gc', 'gate'] as const) this.#home.leases.checkAwake(this.#id, kind)
        if (await this.#home.remove(hash)) gone.push(hash)
      }
    }
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    await this.#home.sync()
    return gone
  }
}
