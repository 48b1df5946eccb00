/** Leases: rows of the index. They belong to an open store, and end with it, in whatever way it ends. */
import { Breather } from '../breather.ts'
import { LeaseLostError } from '../errors.ts'
import type { HashAndFormat, Lease } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { endOwner, type Fate, fateOf, LEASE_PATIENCE_MS, LEASE_RENEW_MS, newOwner } from '../owners.ts'
import type { ObjectContext } from './context.ts'

/** Blobs of a lease that are forgotten at a time: there may be a million, which would hold up everything for seconds. */
const AT_ONCE = 500

export class Leases {
  readonly #context: ObjectContext
  readonly #lifetime: Lifetime
  readonly #owner = newOwner()
  #count = 0
  #renewing: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(context: ObjectContext, lifetime: Lifetime) {
    this.#context = context
    this.#lifetime = lifetime
  }

  lease(): Lease {
    const id = `${this.#owner}-${this.#count++}`
    this.#context.metadata.newLease(id, this.#owner)
    this.#renewing ??= setInterval(() => this.#renew(), LEASE_RENEW_MS).unref()
    return new ObjectLease(this.#context, this.#lifetime, id, () => this.#end(id))
  }

  /** Forgets the leases of those who are no more. */
  async endAbandoned(): Promise<void> {
    const fates = new Map<string, Fate>()
    for (const { id, owner, renewedAt } of this.#context.metadata.leases()) {
      const fate = fates.get(owner) ?? fateOf(owner)
      fates.set(owner, fate)
      const isSilent = Date.now() - renewedAt > LEASE_PATIENCE_MS
      if (fate === 'ended' || (fate === 'unknown' && isSilent)) await this.#end(id)
    }
  }

  /** To be called when the store has been closed, before the index is. Leases that are still there end with it. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#renewing)
    this.#renewing = undefined
    endOwner(this.#owner)
    const { metadata } = this.#context
    try {
      for (const { id, owner } of metadata.leases()) if (owner === this.#owner) await this.#end(id)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.notice(`blobs are kept in ${metadata.path} until this process ends: ${why}`)
    }
  }

  async #end(id: string): Promise<void> {
    const breather = new Breather(undefined)
    while (!this.#context.metadata.endLease(id, AT_ONCE)) await breather.breathe()
  }

  #renew(): void {
    try {
      if (this.#context.metadata.renewLeases(this.#owner) > 0) return
      clearInterval(this.#renewing)
      this.#renewing = undefined
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.notice(`cannot note that blobs are in use: ${why}`)
    }
  }
}

class ObjectLease implements Lease {
  readonly #context: ObjectContext
  readonly #lifetime: Lifetime
  readonly #id: string
  readonly #end: () => Promise<void>
  #isReleased = false

  constructor(context: ObjectContext, lifetime: Lifetime, id: string, end: () => Promise<void>) {
    this.#context = context
    this.#lifetime = lifetime
    this.#id = id
    this.#end = end
  }

  async protect(...blobs: readonly HashAndFormat[]): Promise<void> {
    this.#lifetime.check()
    if (this.#isReleased) throw new LeaseLostError('this lease has been released')
    if (this.#context.metadata.protect(this.#id, blobs)) return
    throw new LeaseLostError(
      'a lease has ended because this process stood still for too long; what it protected may be gone, add or fetch it again'
    )
  }

  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    // A closed store's leases have ended with it.
    if (!this.#lifetime.isOver) await this.#lifetime.run(undefined, this.#end)
  }

  /**
   * Never fails: what was done under the lease has succeeded all the same, or its own failure is what counts. What cannot be noted now,
   * as on a full disk, is tried again when the store is closed.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.notice(
        `blobs are kept in ${this.#context.metadata.path} until the store is closed: ${why}`
      )
    }
  }
}
