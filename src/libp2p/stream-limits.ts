/** Counts the streams that are being served, per peer and in all. */

export class StreamLimits {
  readonly #perPeer: number
  readonly #total: number
  readonly #peers = new Map<string, number>()
  #count = 0

  constructor(perPeer: number, total: number) {
    this.#perPeer = perPeer
    this.#total = total
  }

  /** @returns how to give the place back; undefined when there is none */
  enter(peer: string): (() => void) | undefined {
    const count = this.#peers.get(peer) ?? 0
    if (count >= this.#perPeer || this.#count >= this.#total) return undefined
    this.#peers.set(peer, count + 1)
    this.#count++
    return () => {
      const left = this.#peers.get(peer)! - 1
      if (left === 0) this.#peers.delete(peer)
      else this.#peers.set(peer, left)
      this.#count--
    }
  }
}
