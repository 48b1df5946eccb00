/**
 * Random access to one object, which fetches in few and large GETs what is going to be read.
 *
 * What was fetched and is not read yet lies in up to two *pieces* of at most 8 MiB (more where they are small), whose memory
 * comes out of a budget that all readers share. A read is served as soon as its bytes are there. All below the lowest read
 * under way is let go, and only then more is fetched: when nobody reads, nothing is fetched. What is read in another order, or
 * was not announced, or finds no memory, is got by a GET of its own, straight into the reader's buffer.
 */
import { Limiter } from '../../limiter.ts'
import type { ObjectStorage } from '../storage/index.ts'
import {
  DIRECT_READS,
  FIRST_GUESSED_BYTES,
  FIRST_PIECE_BYTES,
  GAP_BYTES,
  MOST_PIECE_BYTES,
  PIECES_AHEAD,
  SMALL_PIECES_AHEAD,
  SMALL_PIECES_BYTES
} from './constants.ts'
import { endsEarly, Piece } from './piece.ts'
import type { BudgetHolder, ReadBudget } from './read-budget.ts'
import { Spans } from './spans.ts'

export interface ReadAheadOptions {
  readonly storage: ObjectStorage
  readonly key: string
  /** Bytes of the object. */
  readonly size: number
  readonly budget: ReadBudget
  /** What will be read, about in this order. Without it, reading ahead begins when two reads follow each other. */
  readonly plan?: Spans | undefined
}

/** A read under way: from `at` on, its bytes are missing. */
interface Read {
  at: number
  readonly end: number
}

export class ReadAhead implements BudgetHolder {
  readonly #storage: ObjectStorage
  readonly #key: string
  readonly #size: number
  readonly #budget: ReadBudget
  readonly #isPlanned: boolean
  readonly #closing = new AbortController()
  readonly #limiter = new Limiter(DIRECT_READS)
  readonly #reads = new Set<Read>()
  /** What is under way, to be waited for at the end. */
  readonly #running = new Set<Promise<unknown>>()

  /** What to read ahead. */
  #plan: Spans
  /** Ascending and apart, all below the frontier. */
  #pieces: Piece[] = []
  /** GETs under way that go straight into readers' buffers. */
  #directGets = 0
  /** Up to here the plan has been fetched, or is being fetched. */
  #frontier = 0
  /** All below is let go. */
  #base = 0
  /** The highest end of a read that is done. */
  #doneEnd = 0
  /** The end of the read that was begun last. */
  #lastEnd = -1
  #nextBytes = FIRST_PIECE_BYTES
  /** The last GET failed: nothing is fetched ahead until one has succeeded. */
  #isFailing = false

  constructor(options: ReadAheadOptions) {
    this.#storage = options.storage
    this.#key = options.key
    this.#size = options.size
    this.#budget = options.budget
    this.#isPlanned = options.plan !== undefined
    this.#plan = options.plan ?? Spans.none
    this.#frontier = this.#plan.next(0)
  }

  /**
   * Fills `target` with the object's bytes from `offset` on. They must lie in the object. Any number of reads may be under way.
   *
   * @throws what the storage throws; a later read tries again
   */
  async read(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    const read: Read = { at: offset, end: offset + target.length }
    if (!this.#isPlanned) this.#guess(read)
    this.#lastEnd = read.end
    this.#budget.touch(this)
    // What nobody announced says nothing about what comes next.
    if (this.#plan.endAt(read.at) === undefined) return await this.#readDirectly(read, target, signal)
    this.#reads.add(read)
    this.#letGo()
    try {
      while (read.at < read.end) {
        this.#closing.signal.throwIfAborted()
        const rest = target.subarray(read.at - offset)
        const piece = this.#pieceFor(read)
        if (piece === undefined) await this.#readDirectly(read, rest, signal)
        else await this.#readFrom(piece, read, rest, signal)
        this.#letGo()
        this.#fetchAhead()
      }
      this.#doneEnd = Math.max(this.#doneEnd, read.end)
    } finally {
      this.#reads.delete(read)
      this.#letGo()
      this.#fetchAhead()
    }
  }

  /** Begins to fetch what was planned, as the first read of it would. */
  begin(): void {
    if (this.#closing.signal.aborted) return
    this.#budget.touch(this)
    this.#fetchAhead()
  }

  /** Ends all GETs; who waits for one gets `reason`. May be called again. */
  async close(reason: unknown): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(reason)
      this.#budget.leave(this)
      this.#dropPieces(reason)
    }
    await Promise.allSettled(this.#running)
  }

  /** Lets go what was read ahead for nobody so far. */
  giveBack(): void {
    if (this.#reads.size > 0) return
    this.#dropPieces(new Error('others need the memory'))
    this.#frontier = Math.min(this.#frontier, this.#plan.next(this.#base))
    this.#nextBytes = FIRST_PIECE_BYTES
  }

  /** Without a plan: begins to read ahead at the second of two reads that follow each other, ends at one that does not. */
  #guess(read: Read): void {
    if (read.at === this.#lastEnd) {
      if (!this.#plan.isEmpty) return
      this.#plan = Spans.of([read.at, this.#size])
      this.#frontier = read.at
      this.#nextBytes = FIRST_GUESSED_BYTES
      return
    }
    if (this.#reads.size > 0 || this.#find(read.at) !== undefined) return
    this.#dropPieces(new Error('reading goes on elsewhere'))
    this.#plan = Spans.none
    this.#frontier = 0
    this.#base = read.at
    this.#doneEnd = read.at
  }

  /** The piece that the next byte of a read is in, begun if need be; undefined when the read has to get its bytes itself. */
  #pieceFor(read: Read): Piece | undefined {
    if (read.at < this.#base) return undefined
    const found = this.#find(read.at)
    if (found !== undefined || this.#isFailing) return found
    const end = this.#plan.endAt(read.at)
    if (end === undefined) return undefined
    // What lies between was skipped, unless a lower read is still under way.
    if (this.#frontier < read.at && this.#base === read.at) {
      if (this.#frontier + GAP_BYTES < read.at) this.#nextBytes = FIRST_PIECE_BYTES
      this.#frontier = read.at
    }
    // Either the bytes are let go already, or lower ones come first.
    if (this.#frontier !== read.at) return undefined
    // A buffer between is of use only for what is read later.
    if (end <= read.end || read.end - read.at >= this.#nextBytes) return undefined
    return this.#hasRoom(end) ? this.#beginPiece(end) : undefined
  }

  #find(offset: number): Piece | undefined {
    return this.#pieces.find(({ start, end }) => start <= offset && offset < end)
  }

  async #readFrom(
    piece: Piece,
    read: Read,
    target: Uint8Array,
    signal: AbortSignal | undefined
  ): Promise<void> {
    const to = Math.min(read.end, piece.end)
    this.#fetchAhead()
    await piece.read(read.at, target.subarray(0, to - read.at), signal)
    read.at = to
  }

  async #readDirectly(read: Read, target: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (read.at <= this.#frontier && this.#frontier < read.end) this.#frontier = this.#plan.next(read.end)
    const closing = this.#closing.signal
    const either = signal === undefined ? closing : AbortSignal.any([closing, signal])
    this.#directGets++
    try {
      const getting = this.#track(this.#limiter.run(() => this.#get(read.at, target, either), either))
      this.#fetchAhead()
      await getting
      read.at = read.end
      this.#isFailing = false
    } finally {
      this.#directGets--
    }
  }

  async #get(offset: number, target: Uint8Array, signal: AbortSignal): Promise<void> {
    const slice = { key: this.#key, offset, length: target.length }
    let filled = 0
    for await (const bytes of this.#storage.read(slice, { signal })) {
      signal.throwIfAborted()
      const taken = bytes.subarray(0, target.length - filled)
      target.set(taken, filled)
      filled += taken.length
    }
    if (filled < target.length) throw endsEarly(this.#storage, this.#key, offset + filled)
  }

  /** Lets go what is below all reads under way, or, when there are none, below the end of those that are done. */
  #letGo(): void {
    let low = this.#reads.size === 0 ? this.#doneEnd : Infinity
    for (const { at } of this.#reads) low = Math.min(low, at)
    // A read that goes back gets its bytes itself: what lies ahead stays.
    if (low <= this.#base) return
    this.#base = low
    this.#pieces = this.#pieces.filter(piece => {
      piece.pass(low)
      if (piece.end > low) return true
      piece.drop(new Error('nobody needs this piece'))
      return false
    })
  }

  #fetchAhead(): void {
    while (!this.#isFailing && !this.#closing.signal.aborted) {
      const end = this.#plan.endAt(this.#frontier)
      if (end === undefined || !this.#hasRoom(end) || this.#beginPiece(end) === undefined) return
    }
  }

  #hasRoom(end: number): boolean {
    const count = this.#pieces.length + this.#directGets
    if (count < PIECES_AHEAD) return true
    if (count >= SMALL_PIECES_AHEAD) return false
    const held = this.#pieces.reduce((sum, { length }) => sum + length, 0)
    return held + Math.min(this.#nextBytes, end - this.#frontier) <= SMALL_PIECES_BYTES
  }

  /** Begins to fetch what is at the frontier, not beyond `end`. @returns undefined when there is no memory for it */
  #beginPiece(end: number): Piece | undefined {
    const start = this.#frontier
    const buffer = this.#budget.take(Math.min(end - start, this.#nextBytes), this)
    if (buffer === undefined) return undefined
    if (buffer.length === this.#nextBytes) this.#nextBytes = Math.min(2 * this.#nextBytes, MOST_PIECE_BYTES)
    const piece = new Piece(this.#storage, this.#key, start, buffer, failed => {
      this.#pieces = this.#pieces.filter(other => other !== failed)
      this.#isFailing = true
    })
    this.#track(piece.ended)
    this.#pieces.push(piece)
    this.#frontier = this.#plan.next(piece.end)
    return piece
  }

  #dropPieces(reason: unknown): void {
    for (const piece of this.#pieces) piece.drop(reason)
    this.#pieces = []
  }

  async #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }
}
