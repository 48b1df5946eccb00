/**
 * Counts streams, per peer and in all.
 *
 * When there is no place left, a peer that has fewer than another one gets one of those that the other keeps waiting. So a few peers that
 * say nothing, or read nothing, keep nobody out; many of them, with a stream each, still do.
 */

/** Who has a place, or several. */
export interface Guest {
  /** Whether it is its peer that is waited for. */
  isIdle(): boolean
  /** Told that the place is somebody else's now. */
  onLost(): void
}

interface Place {
  readonly guest: Guest
}

export class StreamLimits {
  readonly #perPeer: number
  readonly #total: number
  /** The places of each peer, the oldest first. */
  readonly #peers = new Map<string, Set<Place>>()
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
    const place: Place = { guest }
    const places = this.#peers.get(peer) ?? new Set()
    this.#peers.set(peer, places.add(place))
    this.#count++
    return () => this.#leave(peer, place)
  }

  /** Nobody loses a place to a peer that has as many then. */
  #takeFromRicher(count: number): boolean {
    const richer = [...this.#peers].filter(([, places]) => places.size > count + 1)
    richer.sort(([, a], [, b]) => b.size - a.size)
    for (const [peer, places] of richer) {
      for (const place of places) {
        if (!place.guest.isIdle()) continue
        this.#leave(peer, place)
        place.guest.onLost()
        return true
      }
    }
    return false
  }

  #leave(peer: string, place: Place): void {
    const places = this.#peers.get(peer)
    if (places?.delete(place) !== true) return
    if (places.size === 0) this.#peers.delete(peer)
    this.#count--
  }
}
