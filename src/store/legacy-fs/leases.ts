/**
 * Leases, as files that all processes can see, and how they and garbage collection keep out of each other's way.
 *
 * | file in `leases/` | |
 * |---|---|
 * | `<owner>-<n>.lease` | a lease: 33 bytes for each blob it protects, the hash and the format |
 * | `<owner>-<n>.released` | one that was released while garbage was being collected; that collection still heeds it |
 * | `<owner>-<n>.gc` | garbage is being collected |
 * | `<owner>-<n>.gate` | right now, blobs are being deleted |
 *
 * The owner is an open store of some process (`owners.ts`), which touches its files now and then. Who protects a blob notes it
 * first and looks for gates then; who collects puts up a gate first, and looks for notes then. So either the collector sees
 * the note, or the other one waits until the gate is gone and sees what is left.
 */
import { type FileHandle, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { HASH_BYTES, Hash } from '../../hash.ts'
import { LeaseLostError, StoreError } from '../errors.ts'
import { explained, isNotFound } from '../fs-errors.ts'
import type { HashAndFormat, Lease, Root } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { endOwner, LEASE_PATIENCE_MS, LEASE_RENEW_MS, mayBeOpen, newOwner } from '../owners.ts'
import { pause } from '../waiting.ts'

const RECORD_BYTES = HASH_BYTES + 1

/** Milliseconds between two looks whether a gate is gone. */
const GATE_POLL_MS = 5

/** Milliseconds after which a gate that does not go is an error: blobs are deleted in small batches. */
const GATE_PATIENCE_MS = 60_000

const NAME = /^((?:[0-9a-f]{8})-\d+-(?:[0-9a-f]{16}))-(\d+)\.(lease|released|gc|gate)$/

type Kind = 'lease' | 'released' | 'gc' | 'gate'

interface Note {
  readonly file: string
  /** Without its end: what a lease and the same lease when it is released have in common. */
  readonly id: string
  readonly kind: Kind
  readonly owner: string
}

export class FsLeases {
  readonly #folder: string
  readonly #lifetime: Lifetime
  readonly #owner = newOwner()
  readonly #mine = new Set<string>()
  #count = 0
  #renewing: NodeJS.Timeout | undefined

  constructor(folder: string, lifetime: Lifetime) {
    this.#folder = folder
    this.#lifetime = lifetime
  }

  lease(): Lease {
    return new FsLease(this, this.#lifetime, this.newId())
  }

  /** Protects blobs while `action` runs. */
  async during<T>(blob: HashAndFormat, action: () => Promise<T>): Promise<T> {
    await using lease = this.lease()
    await lease.protect(blob)
    return await action()
  }

  newId(): string {
    return `${this.#owner}-${this.#count++}`
  }

  path(id: string, kind: Kind): string {
    return join(this.#folder, `${id}.${kind}`)
  }

  /** Makes a file of ours, and keeps it alive. */
  async make(id: string, kind: Kind): Promise<FileHandle> {
    const path = this.path(id, kind)
    const file = await open(path, 'ax')
    this.#mine.add(path)
    this.#renewing ??= setInterval(() => this.#renew(), LEASE_RENEW_MS).unref()
    return file
  }

  async remove(id: string, kind: Kind): Promise<void> {
    const path = this.path(id, kind)
    this.#mine.delete(path)
    await rm(path, { force: true })
  }

  /** Ends a lease. A collection that is going on keeps what it protected: something else may have come to protect it since. */
  async release(id: string): Promise<void> {
    const path = this.path(id, 'lease')
    this.#mine.delete(path)
    const isCollecting = (await this.notes()).some(({ kind }) => kind === 'gc')
    try {
      if (isCollecting) await rename(path, this.path(id, 'released'))
      else await rm(path, { force: true })
    } catch (error) {
      // It was taken for one of a dead process.
      if (!isNotFound(error)) throw error
    }
  }

  async notes(): Promise<Note[]> {
    const notes: Note[] = []
    for (const file of await readdir(this.#folder)) {
      const [, owner, count, kind] = NAME.exec(file) ?? []
      if (owner !== undefined) notes.push({ file, id: `${owner}-${count}`, kind: kind as Kind, owner })
    }
    return notes
  }

  /** Whether whoever made it may still be there. */
  async isAlive({ file, owner }: Note): Promise<boolean> {
    if (!mayBeOpen(owner)) return false
    try {
      const { mtimeMs } = await stat(join(this.#folder, file))
      return Date.now() - mtimeMs <= LEASE_PATIENCE_MS
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  /** Waits until nobody is deleting what was noted too late for him. */
  async whenGatesAreGone(): Promise<void> {
    const giveUpAt = performance.now() + GATE_PATIENCE_MS
    for (;;) {
      this.#lifetime.check()
      const gates = (await this.notes()).filter(({ kind }) => kind === 'gate')
      const alive = await Promise.all(gates.map(gate => this.isAlive(gate)))
      const inTheWay = gates.find((_, i) => alive[i])
      if (inTheWay === undefined) return
      if (performance.now() > giveUpAt) {
        throw new StoreError(
          `somebody is deleting garbage in ${this.#folder} and does not go on (${inTheWay.file}); see whether that process is stopped`
        )
      }
      await pause(GATE_POLL_MS)
    }
  }

  /** What a lease protects, from an offset in its file on. @returns undefined when it is gone */
  async read(id: string, from: number): Promise<{ roots: Root[]; end: number } | undefined> {
    for (const kind of ['lease', 'released'] as const) {
      try {
        await using file = await open(this.path(id, kind))
        const { size } = await file.stat()
        // The last record may be half written.
        const bytes = new Uint8Array(Math.floor((size - from) / RECORD_BYTES) * RECORD_BYTES)
        const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
        const count = Math.floor(bytesRead / RECORD_BYTES)
        const roots = Array.from({ length: count }, (_, i) => decode(bytes, i * RECORD_BYTES))
        return { roots, end: from + count * RECORD_BYTES }
      } catch (error) {
        if (!isNotFound(error)) throw error
      }
    }
    return undefined
  }

  /** Removes what released leases and dead processes have left. Only while nobody collects. */
  async tidy(): Promise<void> {
    const notes = await this.notes()
    const alive = await Promise.all(notes.map(note => note.kind !== 'released' && this.isAlive(note)))
    if (notes.some(({ kind }, i) => kind === 'gc' && alive[i])) return
    for (const [i, { file }] of notes.entries()) {
      if (!alive[i]) await rm(join(this.#folder, file), { force: true })
    }
  }

  /** To be called when the store has been closed. Leases that are still there end with it. */
  async close(): Promise<void> {
    clearInterval(this.#renewing)
    for (const path of this.#mine) await rm(path, { force: true })
    this.#mine.clear()
    endOwner(this.#owner)
  }

  #renew(): void {
    const now = new Date()
    // One that is gone was taken for one of a dead process, and its holder finds out.
    for (const path of this.#mine) utimes(path, now, now).catch(() => undefined)
  }
}

class FsLease implements Lease {
  readonly #leases: FsLeases
  readonly #lifetime: Lifetime
  readonly #id: string
  #file: Promise<FileHandle> | undefined
  #isReleased = false
  /** What is to be noted next, and the promise that it is. */
  #pending: HashAndFormat[] = []
  #next: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(leases: FsLeases, lifetime: Lifetime, id: string) {
    this.#leases = leases
    this.#lifetime = lifetime
    this.#id = id
  }

  async protect(...blobs: readonly HashAndFormat[]): Promise<void> {
    await this.#lifetime.run(undefined, async () => {
      if (this.#isReleased) throw new LeaseLostError('this lease has been released')
      await explained('cannot note that blobs are in use', () => this.#join(blobs))
    })
  }

  /** What comes while others are being noted is noted next, all at once: many small blobs are added at the same time. */
  async #join(blobs: readonly HashAndFormat[]): Promise<void> {
    this.#pending.push(...blobs)
    this.#next ??= this.#running.then(() => {
      const taken = this.#pending
      this.#pending = []
      this.#next = undefined
      const noting = this.#note(taken)
      this.#running = noting.catch(() => undefined)
      return noting
    })
    await this.#next
  }

  async #note(blobs: readonly HashAndFormat[]): Promise<void> {
    this.#file ??= this.#leases.make(this.#id, 'lease')
    const file = await this.#file
    await file.write(encode(blobs))
    if ((await file.stat()).nlink === 0) {
      throw new LeaseLostError(
        'a lease has ended because this process stood still for too long; what it protected may be gone, add or fetch it again'
      )
    }
    await this.#leases.whenGatesAreGone()
  }

  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    const file = await this.#file?.catch(() => undefined)
    if (file === undefined) return
    await file.close()
    // A closed store's leases have ended with it.
    if (!this.#lifetime.isOver) await this.#leases.release(this.#id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

function encode(blobs: readonly HashAndFormat[]): Uint8Array {
  const bytes = new Uint8Array(blobs.length * RECORD_BYTES)
  for (const [i, { hash, format }] of blobs.entries()) {
    bytes.set(hash.bytes, i * RECORD_BYTES)
    bytes[(i + 1) * RECORD_BYTES - 1] = format === 'hash_seq' ? 1 : 0
  }
  return bytes
}

function decode(bytes: Uint8Array, at: number): Root {
  const format = bytes[at + HASH_BYTES] === 1 ? 'hash_seq' : 'raw'
  return { hash: Hash.fromBytes(bytes.subarray(at, at + HASH_BYTES)), format }
}
