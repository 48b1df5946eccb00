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

/** Milliseconds after which a gate goes and another one is put up: who waits for it may have a peer that waits for him. */
const GATE_MS = 1000

/** How often a gate goes because there are new lists of blobs to be read, before that is done behind it: so a collection has an end. */
const MOST_ROUNDS = 16

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
        const gone: Hash[] = []
        let left = [...hashes]
        const keep = async (fresh: readonly Root[]): Promise<void> => {
          const held = await hold(fresh)
          left = left.filter(hash => !held.has(hash.toString()))
        }
        // What has come by now can be read while nobody has to wait.
        let fresh = await this.#freshRoots()
        for (let round = 0; ; round++) {
          if (this.#isClosed) throw new HandleClosedError('collection of garbage')
          if (fresh.length > 0) await keep(fresh)
          if (left.length === 0) break
          fresh = await this.#whileGated(async gate => {
            for (;;) {
              const more = await this.#freshRoots()
              if (more.length === 0) break
              if (round < MOST_ROUNDS && more.some(({ format }) => format === 'hash_seq')) return more
              await keep(more)
            }
            await this.#deleteFirst(left, gone, gate, signal)
            return []
          })
        }
        await this.#home.sync()
        return gone
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

  /** Each gate has a name of its own, so that who waits can see that it is another one. */
  async #whileGated<T>(action: (gate: string) => Promise<T>): Promise<T> {
    const { leases } = this.#home
    const gate = leases.newId()
    const file = await leases.make(gate, 'gate')
    try {
      await file.close()
      return await action(gate)
    } finally {
      await leases.remove(gate, 'gate')
    }
  }

  /** Takes out of `left` what is deleted, or is being written, as much as there is time for. */
  async #deleteFirst(left: Hash[], gone: Hash[], gate: string, signal: AbortSignal): Promise<void> {
    const { leases, remove } = this.#home
    const endsAt = performance.now() + GATE_MS
    const worker = async (): Promise<void> => {
      for (let hash = left.pop(); hash !== undefined; hash = left.pop()) {
        signal.throwIfAborted()
        leases.checkAwake(this.#id, 'gc')
        leases.checkAwake(gate, 'gate')
        if (await remove(hash)) gone.push(hash)
        if (performance.now() > endsAt) return
      }
    }
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}
