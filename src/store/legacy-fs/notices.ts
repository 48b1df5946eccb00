/** What the user should know of, each told once. */

/** Further ones are told, but not kept. */
const MOST_KEPT = 1000

export class Notices {
  readonly #texts = new Set<string>()
  readonly #tell: ((text: string) => void) | undefined

  constructor(tell: ((text: string) => void) | undefined) {
    this.#tell = tell
  }

  get all(): readonly string[] {
    return [...this.#texts]
  }

  readonly add = (text: string): void => {
    if (this.#texts.has(text)) return
    if (this.#texts.size < MOST_KEPT) this.#texts.add(text)
    this.#tell?.(text)
  }
}
