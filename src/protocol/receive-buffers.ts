/**
 * The memory a response passes through: a few buffers of fixed size, filled in turn. A buffer is filled again only when
 * everything in it has been written, which is what holds a fast peer to the pace of a slow disk.
 */
import { alignedBuffer } from '../bao/aligned-buffer.ts'
import { PAIR_BYTES, RUN_BYTES, RUN_GROUPS } from '../bao/constants.ts'

/** Bytes of the first buffer: most blobs are small, and a response may hold one of them only. */
const FIRST_BUFFER_BYTES = 128 * 1024

/** One is filled and checked while the others are written. */
const BUFFERS = 3

/** Bytes for parents: twice as many as 1 MiB of data has, for those above it and for ranges with gaps. */
const PARENTS_BYTES = 2 * RUN_GROUPS * PAIR_BYTES

/** What begins at a multiple of this many bytes can be written to files past the system's cache. */
const ALIGNMENT = 4096

export class ReceiveBuffer {
  /** How much of the memory for parents, and of that for data, is in use, in bytes. */
  parentsEnd = 0
  dataEnd = 0
  readonly #isFirst: boolean
  #parents: Uint8Array | undefined
  #data: Uint8Array | undefined
  /** Writes that still read from it. */
  #writes = 0
  /** Resolves when there are none any more. There if somebody waits for it. */
  #free: PromiseWithResolvers<void> | undefined

  /** @param isFirst whether it may be a small one */
  constructor(isFirst: boolean) {
    this.#isFirst = isFirst
  }

  get parents(): Uint8Array {
    this.#parents ??= new Uint8Array(PARENTS_BYTES)
    return this.#parents
  }

  /**
   * Memory for data.
   *
   * @param bytes how many are to come: as long as nothing is in use, there will be room for them, up to 1 MiB
   */
  dataFor(bytes: number): Uint8Array {
    const there = this.#data
    if (there !== undefined && (this.dataEnd > 0 || Math.min(bytes, RUN_BYTES) <= there.length)) return there
    const isSmall = this.#isFirst && bytes <= FIRST_BUFFER_BYTES
    this.#data = isSmall ? new Uint8Array(FIRST_BUFFER_BYTES) : takeRun()
    return this.#data
  }

  /** Whether so many bytes of data fit in behind what is there. */
  hasRoomFor(bytes: number): boolean {
    return this.dataEnd + bytes <= this.dataFor(bytes).length
  }

  /** What comes next is to begin at a multiple of 4 KiB. */
  align(): void {
    this.dataEnd = Math.ceil(this.dataEnd / ALIGNMENT) * ALIGNMENT
  }

  /** Nothing of it is in use any more. */
  reset(): void {
    this.parentsEnd = 0
    this.dataEnd = 0
  }

  /** A write reads from it, until {@link letGo}. */
  hold(): void {
    this.#writes++
  }

  letGo(): void {
    if (--this.#writes > 0) return
    this.#free?.resolve()
    this.#free = undefined
  }

  /** Resolves when no write reads from it. */
  async isFree(): Promise<void> {
    if (this.#writes === 0) return
    this.#free ??= Promise.withResolvers()
    await this.#free.promise
  }

  /** Gives its memory back. */
  release(): void {
    if (this.#data?.length === RUN_BYTES) giveRun(this.#data)
    this.#data = undefined
  }
}

export class ReceiveBuffers {
  readonly #buffers: ReceiveBuffer[] = []
  #turn = 0
  #error: { readonly error: unknown } | undefined

  /** The one that is being filled. */
  get current(): ReceiveBuffer {
    this.#buffers[this.#turn] ??= new ReceiveBuffer(this.#buffers.length === 0)
    return this.#buffers[this.#turn]!
  }

  /**
   * The next buffer, once what is in it has been written.
   *
   * @throws what a write has thrown
   */
  async next(): Promise<ReceiveBuffer> {
    this.#turn = (this.#turn + 1) % BUFFERS
    const next = this.current
    await next.isFree()
    this.throwIfFailed()
    next.reset()
    return next
  }

  /** Keeps the current buffer until `write` is done. */
  hold(write: Promise<void>): void {
    const buffer = this.current
    buffer.hold()
    write.then(
      () => buffer.letGo(),
      error => {
        this.#error ??= { error }
        buffer.letGo()
      }
    )
  }

  /** Waits for all writes, be they good or bad. */
  async settle(): Promise<void> {
    for (const buffer of this.#buffers) await buffer.isFree()
  }

  /** Gives all memory back, when nothing is written any more. */
  release(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.release()
  }

  /** @throws what the first bad write has thrown */
  throwIfFailed(): void {
    if (this.#error !== undefined) throw this.#error.error
  }
}

/** Buffers from which files can be written past the system's cache, for the whole process. When they are all in use, any memory does. */
const MOST_ALIGNED = 12
const spare: Uint8Array[] = []
const aligned = new WeakSet<Uint8Array>()
let made = 0

function takeRun(): Uint8Array {
  const there = spare.pop()
  if (there !== undefined) return there
  if (made === MOST_ALIGNED) return new Uint8Array(RUN_BYTES)
  made++
  const buffer = alignedBuffer(RUN_BYTES)
  aligned.add(buffer)
  return buffer
}

function giveRun(buffer: Uint8Array): void {
  if (aligned.has(buffer)) spare.push(buffer)
}
