/**
 * Files that two threads look at: who lists them from the first on, the other from the last on, until they meet. Nobody waits for
 * anybody: what the other thread has not looked at when its turn comes, who lists looks at himself.
 */
import { dataPath } from '../layout.ts'
import { type Glance, glance } from './glance.ts'

/** Files that the thread looks at before it tells of them. */
const STEP = 32

const HEX_CHARS = 64

/** Of the shared numbers: files from the first on that are looked at where they are listed. */
const FRONT = 0

/** The first of the files that the thread has looked at. */
const BACK = 1

/**
 * Milliseconds for which counts what the thread has seen of a page: who takes longer for what is listed than to list it would be told of
 * what has been deleted meanwhile.
 */
const FRESH_MS = 250

/** In place of a size: to be looked at where it is listed, which knows what to do about it. */
const UNKNOWN = -1

/** What a thread is told of a page. */
export interface SharedPage {
  readonly count: number
  /** 64 digits for each file. */
  readonly hexes: string
  readonly memory: SharedArrayBuffer
}

export class Page {
  readonly hexes: readonly string[]
  readonly #dataFolder: string
  readonly #numbers: PageNumbers
  readonly #memory: SharedArrayBuffer
  readonly #made = performance.now()
  readonly #freshMs: number

  constructor(dataFolder: string, hexes: readonly string[], freshMs = FRESH_MS) {
    this.hexes = hexes
    this.#freshMs = freshMs
    this.#dataFolder = dataFolder
    this.#memory = memoryFor(hexes.length)
    this.#numbers = numbersIn(this.#memory, hexes.length)
  }

  /** For the thread. */
  get shared(): SharedPage {
    return { count: this.hexes.length, hexes: this.hexes.join(''), memory: this.#memory }
  }

  /** What is known of the file at `place`. To be called in order, for one after the other. @throws what the system says */
  at(place: number): Glance | undefined {
    const { meeting, sizes, changes } = this.#numbers
    Atomics.store(meeting, FRONT, place + 1)
    const isKnown = place >= Atomics.load(meeting, BACK) && sizes[place] !== UNKNOWN
    if (isKnown && performance.now() - this.#made < this.#freshMs)
      return { size: sizes[place]!, changedAt: changes[place]! }
    return glance(dataPath(this.#dataFolder, this.hexes[place]!))
  }
}

/** The thread's part. */
export function lookFromTheEnd(dataFolder: string, { count, hexes, memory }: SharedPage): void {
  const { meeting, sizes, changes } = numbersIn(memory, count)
  for (let back = count; back > 0; ) {
    const first = Math.max(0, back - STEP)
    if (Atomics.load(meeting, FRONT) > first) return
    for (let place = first; place < back; place++) {
      const hex = hexes.slice(place * HEX_CHARS, (place + 1) * HEX_CHARS)
      const found = glanceIfPossible(dataPath(dataFolder, hex))
      sizes[place] = found?.size ?? UNKNOWN
      changes[place] = found?.changedAt ?? UNKNOWN
    }
    back = first
    Atomics.store(meeting, BACK, back)
  }
}

function glanceIfPossible(path: string): Glance | undefined {
  try {
    return glance(path)
  } catch {
    // Who lists it looks himself, and tells.
    return undefined
  }
}

interface PageNumbers {
  /** {@link FRONT} and {@link BACK}. */
  readonly meeting: Int32Array
  readonly sizes: Float64Array
  readonly changes: Float64Array
}

const MEETING_BYTES = 8

function memoryFor(count: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(MEETING_BYTES + 2 * count * Float64Array.BYTES_PER_ELEMENT)
  new Int32Array(memory)[BACK] = count
  return memory
}

function numbersIn(memory: SharedArrayBuffer, count: number): PageNumbers {
  return {
    meeting: new Int32Array(memory, 0, 2),
    sizes: new Float64Array(memory, MEETING_BYTES, count),
    changes: new Float64Array(memory, MEETING_BYTES + count * Float64Array.BYTES_PER_ELEMENT, count)
  }
}
