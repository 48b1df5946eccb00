/** How far a recovery has come, and what it has found so far: noted in the database now and then. */
import { z } from 'zod'
import type { Hash } from '../../../hash.ts'
import type { Metadata } from '../metadata/index.ts'

const FACT = 'recovery'

/** base32's characters in the order in which a listing has them: digits come first. */
const IN_ORDER = '234567abcdefghijklmnopqrstuvwxyz'

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
  /** Objects that belong to nothing. They stay where they are. */
  orphaned: number
  /** Blobs and tags that the database knew, and that are not in the storage. */
  lost: number
  tags: number
  bytesRead: number
}

const noteSchema = z.strictObject({
  fast: z.boolean(),
  after: z.string(),
  counts: z.strictObject({
    complete: z.number(),
    partial: z.number(),
    repaired: z.number(),
    corrupt: z.number(),
    orphaned: z.number(),
    lost: z.number(),
    tags: z.number(),
    bytesRead: z.number()
  })
})

export class Position {
  /** What was found so far, also by an interrupted run. */
  readonly counts: Counts
  /** The last blob, in base32, before which, and with which, all are done. */
  after: string | undefined
  readonly #metadata: Metadata
  readonly #fast: boolean
  /** Blobs that were begun and are not behind `after`, in order, and whether they are done. */
  readonly #begun: { readonly hash: string; isDone: boolean }[] = []
  #savedAt = Date.now()

  private constructor(metadata: Metadata, fast: boolean, counts: Counts, after: string | undefined) {
    this.#metadata = metadata
    this.#fast = fast
    this.counts = counts
    this.after = after
  }

  /** Where an interrupted run of the same kind has stopped, or the beginning. */
  static load(metadata: Metadata, fast: boolean, restart: boolean): Position {
    const fact = metadata.fact(FACT)
    const note = fact === undefined || restart ? undefined : noteSchema.safeParse(parseJson(fact)).data
    if (note?.fast === fast) return new Position(metadata, fast, note.counts, note.after)
    const none: Counts = {
      complete: 0,
      partial: 0,
      repaired: 0,
      corrupt: 0,
      orphaned: 0,
      lost: 0,
      tags: 0,
      bytesRead: 0
    }
    return new Position(metadata, fast, none, undefined)
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

  /** @returns to be called when the blob is done */
  begin(hash: Hash): () => void {
    const entry = { hash: hash.toBase32(), isDone: false }
    this.#begun.push(entry)
    return () => {
      entry.isDone = true
      while (this.#begun[0]?.isDone) this.after = this.#begun.shift()!.hash
    }
  }

  /** Notes it in the database, when it is time or when told `now`. */
  save(now = false): void {
    if (this.after === undefined || (!now && Date.now() - this.#savedAt < SAVE_MS)) return
    this.#savedAt = Date.now()
    const note: z.output<typeof noteSchema> = { fast: this.#fast, after: this.after, counts: this.counts }
    this.#metadata.setFact(FACT, JSON.stringify(note))
  }

  /** All is done: the next run begins anew. */
  clear(): void {
    this.#metadata.setFact(FACT, undefined)
  }
}

/** What cannot be read was not written by us. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
