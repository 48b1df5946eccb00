/** How far a recovery has come, and what it has found so far: noted in the database now and then. */
import { z } from 'zod'
import type { Hash } from '../../../hash.ts'
import type { Metadata } from '../metadata/index.ts'

const FACT = 'recovery'

/** base32's characters in the order in which a listing has them: digits come first. */
const IN_ORDER = '234567abcdefghijklmnopqrstuvwxyz'

/** Milliseconds after which an interrupted run is not gone on with: what was looked at then may be another thing by now. */
const STALE_MS = 24 * 60 * 60 * 1000

/** Milliseconds between two notes. */
const SAVE_MS = 1000

/** What was found. */
export interface Counts {
  /** Blobs that are whole. */
  complete: number
  /** Blobs of which a part is there. */
  partial: number
  /** Blobs among the complete ones whose outboard was missing or wrong, and was written anew. */
  repaired: number
  /** Objects that did not match their keys, and were set aside. */
  corrupt: number
  /** Blobs that could not be read, and of which nothing is known therefore. */
  failed: number
  /** Objects that belong to nothing. They stay where they are. */
  orphaned: number
  /** Blobs and tags that the database knew, and that are not in the storage. */
  lost: number
  tags: number
  bytesRead: number
}

const noteSchema = z.strictObject({
  /** What was looked at. */
  storage: z.string(),
  /** In ms since 1970. */
  savedAt: z.number(),
  fast: z.boolean(),
  after: z.string(),
  counts: z.strictObject({
    complete: z.number(),
    partial: z.number(),
    repaired: z.number(),
    corrupt: z.number(),
    failed: z.number(),
    orphaned: z.number(),
    lost: z.number(),
    tags: z.number(),
    bytesRead: z.number()
  })
})

/** What is looked at, and how. */
export interface Run {
  /** The storage's name. */
  readonly storage: string
  readonly fast: boolean
}

/** A blob that is being looked at. */
export interface Begun {
  /** What is found of it. */
  readonly counts: Counts
  /** To be called when all is found. */
  readonly done: () => void
}

export class Position {
  /** What was found in all that is done, also by an interrupted run. */
  readonly counts: Counts
  /** The last blob, in base32, before which, and with which, all are done. */
  after: string | undefined
  readonly #metadata: Metadata
  readonly #run: Run
  /** As `counts`, but only up to `after`: what an interrupted run goes on with, so that nothing is counted twice. */
  readonly #settled: Counts
  /** Blobs that were begun and are not behind `after`, in order, and whether they are done. */
  readonly #begun: { readonly hash: string; readonly counts: Counts; isDone: boolean }[] = []
  #savedAt = performance.now()

  private constructor(metadata: Metadata, run: Run, counts: Counts, after: string | undefined) {
    this.#metadata = metadata
    this.#run = run
    this.#settled = counts
    this.counts = { ...counts }
    this.after = after
  }

  /** Where an interrupted run of the same kind has stopped, or the beginning. */
  static load(metadata: Metadata, run: Run, restart: boolean): Position {
    const fact = metadata.fact(FACT)
    const note = fact === undefined || restart ? undefined : noteSchema.safeParse(parseJson(fact)).data
    const isSame = note?.fast === run.fast && note.storage === run.storage
    if (!isSame || Math.abs(Date.now() - note.savedAt) > STALE_MS) {
      return new Position(metadata, run, noCounts(), undefined)
    }
    // Tags are looked at again by each run.
    return new Position(metadata, run, { ...note.counts, tags: 0 }, note.after)
  }

  /** Share of all hashes that is done: hashes are spread evenly. */
  get share(): number {
    if (this.after === undefined) return 0
    let share = 0
    for (const letter of this.after.slice(0, 4).split('').reverse()) {
      share = (share + IN_ORDER.indexOf(letter)) / IN_ORDER.length
    }
    return share
  }

  /** Blobs that were begun, up to the last that is done, when one of the first takes long. */
  get waiting(): number {
    return this.#begun.length
  }

  /** To be told what was found before the first blob. */
  add(counts: Counts): void {
    addCounts(this.counts, counts)
    addCounts(this.#settled, counts)
  }

  /** Blobs are begun in order, and may be done in any. */
  begin(hash: Hash): Begun {
    const entry = { hash: hash.toBase32(), counts: noCounts(), isDone: false }
    this.#begun.push(entry)
    const done = (): void => {
      entry.isDone = true
      addCounts(this.counts, entry.counts)
      let end = 0
      for (; this.#begun[end]?.isDone; end++) addCounts(this.#settled, this.#begun[end]!.counts)
      if (end > 0) this.after = this.#begun.splice(0, end).at(-1)!.hash
    }
    return { counts: entry.counts, done }
  }

  /** Notes it in the database, when it is time or when told `now`. */
  save(now = false): void {
    if (this.after === undefined || (!now && performance.now() - this.#savedAt < SAVE_MS)) return
    this.#savedAt = performance.now()
    const note: z.output<typeof noteSchema> = {
      ...this.#run,
      savedAt: Date.now(),
      after: this.after,
      counts: this.#settled
    }
    this.#metadata.setFact(FACT, JSON.stringify(note))
  }

  /** All is done: the next run begins anew. */
  clear(): void {
    this.#metadata.setFact(FACT, undefined)
  }
}

export function noCounts(): Counts {
  return {
    complete: 0,
    partial: 0,
    repaired: 0,
    corrupt: 0,
    failed: 0,
    orphaned: 0,
    lost: 0,
    tags: 0,
    bytesRead: 0
  }
}

function addCounts(sum: Counts, counts: Counts): void {
  for (const key of Object.keys(counts) as (keyof Counts)[]) sum[key] += counts[key]
}

/** What cannot be read was not written by us. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
