/** Remembers which peers have sent wrong bytes, for as long as the service lives. */
import { MAX_MISBEHAVED_PEERS, MISTRUSTED_AFTER } from './constants.ts'

export class Misbehaviour {
  /** Times by peer id; who was seen last is last. */
  readonly #counts = new Map<string, number>()

  /** @param id of the peer */
  note(id: string): void {
    const count = this.#counts.get(id) ?? 0
    this.#counts.delete(id)
    this.#counts.set(id, count + 1)
    if (this.#counts.size <= MAX_MISBEHAVED_PEERS) return
    const [oldest] = this.#counts.keys()
    this.#counts.delete(oldest!)
  }

  /** @param id of the peer */
  isMistrusted(id: string): boolean {
    return (this.#counts.get(id) ?? 0) >= MISTRUSTED_AFTER
  }
}
