/** What the comparison has measured, round by round. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { PartSample } from './compare-part.ts'
import type { Part } from './contestants/contestant.ts'

export interface Measured {
  /** Counted from 0. */
  readonly round: number
  readonly contestant: string
  readonly part: Part
  readonly sample?: PartSample
  /** Why there is no sample. */
  readonly error?: string
}

export type Pick = (sample: PartSample) => number

/** Of the blob, the folder and the small ones. */
export interface Sizes {
  readonly blobBytes: number
  readonly files: number
  readonly fileBytes: number
}

export class Samples {
  readonly sizes: Sizes
  readonly #all: Measured[] = []
  readonly #path: string | undefined

  /**
   * @param path a file to keep them in, so that a run can go on where another has ended
   * @throws Error when that was about other sizes
   */
  constructor(sizes: Sizes, path?: string) {
    this.sizes = sizes
    this.#path = path
    if (path === undefined || !existsSync(path)) return
    const saved: { sizes: Sizes; all: Measured[] } = JSON.parse(readFileSync(path, 'utf8'))
    if (JSON.stringify(saved.sizes) !== JSON.stringify(sizes)) {
      throw new Error(`${path} is about other sizes: ${JSON.stringify(saved.sizes)}`)
    }
    this.#all.push(...saved.all)
  }

  add(measured: Measured): void {
    this.#all.push(measured)
    if (this.#path !== undefined) {
      writeFileSync(this.#path, JSON.stringify({ sizes: this.sizes, all: this.#all }))
    }
  }

  /** How many rounds of it there are, failed ones included. */
  rounds(contestant: string, part: Part): number {
    return this.#of(contestant, part).length
  }

  get mostRounds(): number {
    return Math.max(0, ...this.#all.map(({ round }) => round + 1))
  }

  of(contestant: string, part: Part): readonly PartSample[] {
    return this.#of(contestant, part).flatMap(({ sample }) => (sample === undefined ? [] : [sample]))
  }

  failures(): readonly Measured[] {
    return this.#all.filter(({ error }) => error !== undefined)
  }

  /** One contestant's figure over another's, for each round that both have. */
  ratios(
    part: Part,
    [above, pickAbove]: readonly [string, Pick],
    [below, pickBelow]: readonly [string, Pick]
  ): number[] {
    const others = this.#of(below, part)
    return this.#of(above, part).flatMap(({ round, sample }) => {
      const other = others.find(candidate => candidate.round === round)?.sample
      return sample === undefined || other === undefined ? [] : [pickAbove(sample) / pickBelow(other)]
    })
  }

  #of(contestant: string, part: Part): Measured[] {
    return this.#all.filter(measured => measured.contestant === contestant && measured.part === part)
  }
}
