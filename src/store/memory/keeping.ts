/** Leases and sweeps of a MemoryStore. */
import type { Hash } from '../../hash.ts'
import { HandleClosedError, LeaseLostError } from '../errors.ts'
import type { HashAndFormat, Lease, Root, Sweep, WaitOptions } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'

export interface KeepingHome {
  readonly lifetime: Lifetime
  /** All roots that are tags. */
  tags(): Iterable<Root>
  /** Deletes a blob unless somebody is writing to it. @returns whether it is gone */
  remove(hash: Hash): boolean
}

export class Keeping {
  readonly #home: KeepingHome
  readonly #leases = new Set<MemoryLease>()
  readonly #sweeps = new Set<MemorySweep>()

  constructor(home: KeepingHome) {
    this.#home = home
  }

  lease(): Lease {
    const lease = new MemoryLease(this.#home.lifetime, {
      onProtect: root => this.keep(root),
      onRelease: () => this.#leases.delete(lease)
    })
    this.#leases.add(lease)
    return lease
  }

  sweep(): Sweep {
    const sweep = new MemorySweep(this.#home, this.#leases, () => this.#sweeps.delete(sweep))
    this.#sweeps.add(sweep)
    return sweep
  }

  /** To be called whenever there is a new root: sweeps that are going on have to know. */
  keep(root: Root): void {
    for (const sweep of this.#sweeps) sweep.keep(root)
  }
}

class MemoryLease implements Lease {
  readonly blobs: HashAndFormat[] = []
  readonly #lifetime: Lifetime
  readonly #events: { readonly onProtect: (root: Root) => void; readonly onRelease: () => void }
  #isReleased = false

  constructor(
    lifetime: Lifetime,
    events: { readonly onProtect: (root: Root) => void; readonly onRelease: () => void }
  ) {
    this.#lifetime = lifetime
    this.#events = events
  }

  async protect(...blobs: readonly HashAndFormat[]): Promise<void> {
    this.#lifetime.check()
    if (this.#isReleased) throw new LeaseLostError('this lease has been released')
    for (const { hash, format } of blobs) {
      this.blobs.push({ hash, format })
      this.#events.onProtect({ hash, format })
    }
  }

  async release(): Promise<void> {
    this.#isReleased = true
    this.#events.onRelease()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

class MemorySweep implements Sweep {
  readonly #home: KeepingHome
  readonly #leases: ReadonlySet<MemoryLease>
  readonly #onClose: () => void
  #fresh: Root[] = []
  #isClosed = false

  constructor(home: KeepingHome, leases: ReadonlySet<MemoryLease>, onClose: () => void) {
    this.#home = home
    this.#leases = leases
    this.#onClose = onClose
  }

  keep(root: Root): void {
    this.#fresh.push(root)
  }

  async *roots(options: WaitOptions = {}): AsyncGenerator<Root, void, undefined> {
    this.#home.lifetime.check(options.signal)
    // One moment: nothing else runs before both are copied.
    const roots = [...this.#home.tags(), ...Array.from(this.#leases, ({ blobs }) => blobs).flat()]
    for (const root of roots) {
      this.#home.lifetime.check(options.signal)
      yield root
    }
  }

  async delete(
    hashes: readonly Hash[],
    hold: (fresh: readonly Root[]) => Promise<ReadonlySet<string>>
  ): Promise<readonly Hash[]> {
    this.#home.lifetime.check()
    const held = new Set<string>()
    while (this.#fresh.length > 0) {
      for (const hex of await hold(this.#fresh.splice(0))) held.add(hex)
      this.#home.lifetime.check()
    }
    if (this.#isClosed) throw new HandleClosedError('collection of garbage')
    return hashes.filter(hash => !held.has(hash.toString()) && this.#home.remove(hash))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#onClose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
