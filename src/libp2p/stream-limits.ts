/**
 * Counts streams, per peer and in all.
 *
 * When there is no place left, a peer that has fewer than another one gets one of those that the other keeps waiting. So a few peers that
 * say nothing, or read nothing, keep nobody out; many of them, with a stream each, still do.
 */

/** Who has a place. */
export interface Guest {
  /** Whether it is its peer that is waited for. */
  isIdle(): boolean
  /** Told that the place is somebody else's now. */
  onLost(): void
}

export class StreamLimits {
  readonly #perPeer: number
  readonly #total: number
  /** The guests of each peer, the oldest first. */
  readonly #peers = new Map<string, Set<Guest>>()
  #count = 0

  constructor(perPeer: number, total: number) {
    this.#perPeer = perPeer
    this.#total = total
  }

  /** @returns how to give the place back, which may be done more than once; undefined when there is none */
  enter(peer: string, guest: Guest): (() => void) | undefined {
    const count = this.#peers.get(peer)?.size ?? 0
    if (count >= this.#perPeer) return undefined
    if (this.#count >= this.#total && !this.#takeFromRicher(count)) return undefined
    const guests = this.#peers.get(peer) ?? new Set()
    this.#peers.set(peer, guests.add(guest))
    this.#count++
    return () => this.#leave(peer, guest)
  }

  /** Nobody loses a place to a peer that has as many then. */
  #takeFromRicher(count: number): boolean {
    const richer = [...this.#peers].filter(([, guests]) => guests.size > count + 1)
    richer.sort(([, a], [, b]) => b.size - a.size)
    for (const [peer, guests] of richer) {
      for (const guest of guests) {
        if (!guest.isIdle()) continue
        this.#leave(peer, guest)
        guest.onLost()
        return true
      }
    }
    return false
  }

  #leave(peer: string, guest: Guest): void {
    const guests = this.#peers.get(peer)
    if (guests?.delete(guest) !== true) return
    if (guests.size === 0) this.#peers.delete(peer)
    this.#count--
  }
}
