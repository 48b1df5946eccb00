/** How a fetch fails, and what kind of failure of a provider is which. */
import { HashMismatchError, TruncatedEncodingError } from '../../bao/errors.ts'
import type { Hash } from '../../hash.ts'
import { NotAvailableError, RefusedError } from '../../protocol/errors.ts'
import { SizeMismatchError } from '../../store/errors.ts'
import { ProviderUnreachableError } from '../getter.ts'
import { idOf, nameOf, type ProviderAddress } from '../provider-address.ts'
import { StreamIdleTimeoutError, StreamResetError } from '../stream-errors.ts'
import type { Item } from './item.ts'

/** No provider could give the blob. `errors` has the reason of each, in the order they were given. */
export class AllProvidersFailedError extends AggregateError {
  override readonly name = 'AllProvidersFailedError'
  readonly code = 'ERR_ALL_PROVIDERS_FAILED'
  /** Whose each of `errors` is: the peer's id, or, where it is not known, the address. */
  readonly peers: readonly string[]

  constructor(hash: Hash, failures: readonly { provider: ProviderAddress; error: unknown }[]) {
    const reasons = failures.map(({ provider, error }) => `${nameOf(provider)}: ${messageOf(error)}`)
    super(
      failures.map(({ error }) => error),
      `no provider could give blob ${hash}: ${reasons.join('; ')}`
    )
    this.peers = failures.map(({ provider }) => idOf(provider) ?? nameOf(provider))
  }
}

/** A provider claims another size than others have, and nobody has proven one. Never leaves the fetch. */
export class SizeDisputedError extends Error {
  override readonly name = 'SizeDisputedError'
  readonly item: Item
  /** Bytes. */
  readonly claimed: number

  constructor(item: Item, claimed: number) {
    super(`the provider claims that blob ${item.hash} has ${claimed} bytes, another one says ${item.size}`)
    this.item = item
    this.claimed = claimed
  }
}

/** The provider is honest, and does not have it. */
export function isLack(error: unknown): error is NotAvailableError | TruncatedEncodingError {
  return error instanceof NotAvailableError || error instanceof TruncatedEncodingError
}

/** What was sent cannot be part of the blob. */
export function isLie(error: unknown): error is HashMismatchError | SizeMismatchError {
  return error instanceof HashMismatchError || error instanceof SizeMismatchError
}

/** A little later it may go well. */
export function isPassing(error: unknown): boolean {
  if (error instanceof RefusedError) return error.status.type === 'busy'
  return (
    error instanceof ProviderUnreachableError ||
    error instanceof StreamResetError ||
    error instanceof StreamIdleTimeoutError
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
