/** What goes wrong on purpose. */
import type { Operation, S3Request } from './request.ts'

/**
 * Where in a request something happens: after `afterBytes` of its body have come in and before anything is done (`request`);
 * after it is done and before the answer's first byte (`answer`); after `afterBytes` of the answer's body have gone (`body`).
 */
export type Place = 'request' | 'answer' | 'body'

export type FaultKind =
  /** An answer that says no; nothing is done. */
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message?: string }
  /** Status 200, and an error in the body; nothing is done. S3 may answer copies and Completes so. */
  | { readonly kind: 'error-in-200'; readonly code: string }
  /** The answer of something that is no S3 server; nothing is done. */
  | { readonly kind: 'html'; readonly status: number }
  /** The connection is reset. */
  | { readonly kind: 'reset'; readonly at: Place; readonly afterBytes?: number }
  /** Nothing comes any more, and the connection stays. */
  | { readonly kind: 'stall'; readonly at: Place; readonly afterBytes?: number }
  /** The answer ends after so many bytes of its body. Content-Length told the truth, unless it is to lie. */
  | { readonly kind: 'truncate'; readonly afterBytes: number; readonly lie?: boolean }
  /** A bit of the answer's body is wrong, at this offset in it. */
  | { readonly kind: 'corrupt'; readonly at: number }
  /** The whole object comes, whatever range was asked for. */
  | { readonly kind: 'ignore-range' }
  /** A write is answered as if it had been done. */
  | { readonly kind: 'lose' }
  /** A CompleteMultipartUpload is done and answered with an empty ETag. */
  | { readonly kind: 'empty-etag' }
  /** It is done as it should be, but so many milliseconds later. */
  | { readonly kind: 'delay'; readonly ms: number }

/** Which requests: those for which all that is given holds. */
export interface FaultMatcher {
  readonly operation?: Operation | readonly Operation[]
  readonly method?: string
  readonly key?: RegExp
  /** Query parameters that must be there; `true` for any value. */
  readonly query?: Readonly<Record<string, string | true>>
}

export interface FaultOptions {
  /** How many of the matching requests are let through before. @default 0 */
  readonly after?: number
  /** How often it happens. @default 1 */
  readonly times?: number
  /** Chance that it happens to a matching request, from a sequence that is the same for the same seed. @default 1 */
  readonly probability?: number
  /** @default 1 */
  readonly seed?: number
}

/** A fault that was programmed. */
export interface Fault {
  readonly kind: FaultKind
  /** How often it has happened. */
  readonly hits: number
  remove(): void
}

export const slowDown: FaultKind = {
  kind: 'error',
  status: 503,
  code: 'SlowDown',
  message: 'Please reduce your request rate'
}
export const internalError: FaultKind = { kind: 'error', status: 500, code: 'InternalError' }

export class Faults {
  readonly #faults = new Set<ProgrammedFault>()

  /** When several faults match a request, the one that was added first happens. */
  add(matcher: FaultMatcher, kind: FaultKind, options: FaultOptions = {}): Fault {
    const fault = new ProgrammedFault(matcher, kind, options, () => this.#faults.delete(fault))
    this.#faults.add(fault)
    return fault
  }

  clear(): void {
    this.#faults.clear()
  }

  /** What happens to this request. */
  take(request: S3Request): FaultKind | undefined {
    for (const fault of this.#faults) if (fault.happensTo(request)) return fault.kind
    return undefined
  }
}

class ProgrammedFault implements Fault {
  readonly kind: FaultKind
  readonly remove: () => void
  hits = 0
  readonly #matcher: FaultMatcher
  readonly #times: number
  readonly #probability: number
  #letThrough: number
  #random: number

  constructor(matcher: FaultMatcher, kind: FaultKind, options: FaultOptions, remove: () => void) {
    this.#matcher = matcher
    this.kind = kind
    this.remove = remove
    this.#letThrough = options.after ?? 0
    this.#times = options.times ?? 1
    this.#probability = options.probability ?? 1
    this.#random = Math.imul((options.seed ?? 1) | 1, 2654435761)
  }

  happensTo(request: S3Request): boolean {
    if (this.hits >= this.#times || !matches(this.#matcher, request)) return false
    if (this.#letThrough > 0) {
      this.#letThrough -= 1
      return false
    }
    if (this.#probability < 1 && this.#chance() >= this.#probability) return false
    this.hits += 1
    return true
  }

  /** The next number from 0 to 1 (mulberry32). */
  #chance(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), this.#random | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function matches({ operation, method, key, query }: FaultMatcher, request: S3Request): boolean {
  if (operation !== undefined && ![operation].flat().includes(request.operation)) return false
  if (method !== undefined && method !== request.method) return false
  if (key !== undefined && request.key.search(key) < 0) return false
  return Object.entries(query ?? {}).every(([name, value]) => {
    const given = request.query.get(name)
    return given !== undefined && (value === true || value === given)
  })
}
