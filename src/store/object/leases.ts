/** Leases: rows of the index. They belong to an open store, and end with it, in whatever way it ends. */
import { LeaseLostError } from '../errors.ts'
import type { HashAndFormat, Lease } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { endOwner, LEASE_PATIENCE_MS, LEASE_RENEW_MS, mayBeOpen, newOwner } from '../owners.ts'
import type { ObjectContext } from './context.ts'
import type { LeaseRow } from './metadata/index.ts'

export class Leases {
  readonly #context: ObjectContext
  readonly #lifetime: Lifetime
  readonly #owner = newOwner()
  #count = 0
  #renewing: NodeJS.Timeout | undefined

  constructor(context: ObjectContext, lifetime: Lifetime) {
    this.#context = context
    this.#lifetime = lifetime
  }

  lease(): Lease {
    const id = `${this.#owner}-${this.#count++}`
    this.#context.metadata.newLease(id, this.#owner)
    this.#renewing ??= setInterval(() => this.#renew(), LEASE_RENEW_MS).unref()
    return new ObjectLease(this.#context, this.#lifetime, id)
  }

  /** Forgets the leases of those who are no more. */
  endAbandoned(): void {
    const { metadata } = this.#context
    for (const lease of metadata.leases()) if (isAbandoned(lease)) metadata.endLease(lease.id)
  }

  /** To be called when the store has been closed, before the index is. */
  close(): void {
    clearInterval(this.#renewing)
    this.#renewing = undefined
    endOwner(this.#owner)
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

function isAbandoned({ owner, renewedAt }: LeaseRow): boolean {
  return !mayBeOpen(owner) || Date.now() - renewedAt > LEASE_PATIENCE_MS
}

class ObjectLease implements Lease {
  readonly #context: ObjectContext
  readonly #lifetime: Lifetime
  readonly #id: string
  #isReleased = false

  constructor(context: ObjectContext, lifetime: Lifetime, id: string) {
    this.#context = context
    this.#lifetime = lifetime
    this.#id = id
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
    if (!this.#lifetime.isOver) this.#context.metadata.endLease(this.#id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}
