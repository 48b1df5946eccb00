/**
 * Lets a few in in each turn of the event loop, of all who begin, or hash and write.
 *
 * When many connections can take more at the same time, or what was read for them is there, Node tells all of them within one turn, and
 * hardly anything happens between one and the next. Each then hashes a piece and encrypts it: with 200 of them everything else waits for
 * a tenth of a second. So they are counted: how long they took one knows too late.
 */

/** Who is let in in one turn, at most. A piece of 128 KiB takes a quarter of a millisecond; one at a time, turns would cost a tenth. */
export const MOST_IN_A_TURN = 8

/** Browsers have none; they have no sockets either that could all be ready in one turn. */
const nextTurn: (callback: () => void) => unknown = globalThis.setImmediate ?? setTimeout

export class Turns {
  /** How many have been let in in this turn. */
  #count = 0
  readonly #waiting: (() => void)[] = []

  /** @returns undefined for the first who come in a turn; for the others what resolves in one of the next, in the order of the calls */
  enter(): Promise<void> | undefined {
    if (this.#count < MOST_IN_A_TURN) {
      if (this.#count++ === 0) nextTurn(this.#begin)
      return undefined
    }
    return new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  readonly #begin = (): void => {
    const next = this.#waiting.splice(0, MOST_IN_A_TURN)
    this.#count = next.length
    if (next.length > 0) nextTurn(this.#begin)
    for (const letIn of next) letIn()
  }
}
