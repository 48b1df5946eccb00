/**
 * Leases, as files that all processes can see, and how they and garbage collection keep out of each other's way.
 *
 * | file | |
 * |---|---|
 * | `leases/<owner>-<n>.lease` | a lease: 33 bytes for each blob it protects, the hash and the format |
 * | `leases/<owner>-<n>.released` | one that was released while garbage was being collected; that collection still heeds it |
 * | `sweeps/<owner>-<n>.gc` | garbage is being collected |
 * | `sweeps/<owner>-<n>.gate` | right now, blobs are being deleted |
 *
 * The owner is an open store of some process (`owners.ts`), which touches its files now and then. Who protects a blob notes it
 * first and looks for gates then; who collects puts up a gate first, and looks for notes then. So either the collector sees
 * the note, or the other one waits until the gate is gone and sees what is left.
 *
 * Gates have a folder of their own: there may be thousands of leases, and each protecting looks for gates.
 */
import { fstatSync, readdirSync, writeSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { HASH_BYTES, Hash } from '../../hash.ts'
import { LeaseLostError, StoreError } from '../errors.ts'
import { explained, isNotFound } from '../fs-errors.ts'
import type { HashAndFormat, Lease, Root } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import {
  endOwner,
  type Fate,
  fateOf,
  isOwner,
  LEASE_PATIENCE_MS,
  LEASE_RENEW_MS,
  newOwner
} from '../owners.ts'
import { pause } from '../waiting.ts'
import type { FsContext } from './context.ts'

const RECORD_BYTES = HASH_BYTES + 1

/** Milliseconds between two looks whether a gate is gone. */
const GATE_POLL_MS = 5

/** Milliseconds after which a gate that does not go is an error: blobs are deleted in small batches. */
const GATE_PATIENCE_MS = 60_000

/**
 * Who has not touched a file of his for this many milliseconds does not rely on it any more: others may take him for dead. That
 * is well before they do.
 */
const AWAKE_MS = LEASE_PATIENCE_MS / 2

const NAME = /^(.+)-(\d+)\.(lease|released|gc|gate)$/

type Kind = 'lease' | 'released' | 'gc' | 'gate'

interface Note {
  readonly path: string
  /** Without its end: what a lease and the same lease when it is released have in common. */
  readonly id: string
  readonly kind: Kind
  readonly owner: string
}

export class FsLeases {
  readonly #leaseFolder: string
  readonly #sweepFolder: string
  readonly #notice: (message: string) => void
  readonly #lifetime: Lifetime
  /** The name of this open store. */
  readonly owner = newOwner()
  /** Our files, and when each was touched last, by the clock of `performance`. */
  readonly #mine = new Map<string, number>()
  /** Leases that have a file. */
  readonly #held = new Set<FsLease>()
  #count = 0
  #renewing: NodeJS.Timeout | undefined

  constructor({ layout, notice }: Pick<FsContext, 'layout' | 'notice'>, lifetime: Lifetime) {
    this.#leaseFolder = layout.leaseFolder
    this.#sweepFolder = layout.sweepFolder
    this.#notice = notice
    this.#lifetime = lifetime
  }

  lease(): Lease {
    return new FsLease(this, this.#lifetime, this.newId(), this.#held)
  }

  /** Protects blobs while `action` runs. */
  async during<T>(blob: HashAndFormat, action: () => Promise<T>): Promise<T> {
    await using lease = this.lease()
    await lease.protect(blob)
    return await action()
  }

  newId(): string {
    return `${this.owner}-${this.#count++}`
  }

  /** Makes a file of ours, and keeps it alive. */
  async make(id: string, kind: Kind): Promise<FileHandle> {
    const path = this.#path(id, kind)
    const now = performance.now()
    const file = await open(path, 'ax')
    this.#mine.set(path, now)
    this.#renewing ??= setInterval(() => this.#renew(), LEASE_RENEW_MS).unref()
    return file
  }

  async remove(id: string, kind: Kind): Promise<void> {
    const path = this.#path(id, kind)
    this.#mine.delete(path)
    await rm(path, { force: true })
  }

  /** Ends a lease. A collection that is going on keeps what it protected: something else may have come to protect it since. */
  async release(id: string): Promise<void> {
    const path = this.#path(id, 'lease')
    const isCollecting = await this.#isCollecting()
    this.#mine.delete(path)
    try {
      if (isCollecting) await rename(path, this.#path(id, 'released'))
      else await rm(path, { force: true })
    } catch (error) {
      // It was taken for one of a dead process.
      if (!isNotFound(error)) throw error
    }
  }

  /**
   * All leases, those that are released too. The folder is read twice: a file that is renamed while it is read may be missed, but
   * each is renamed only once.
   */
  async leases(): Promise<Note[]> {
    const found = new Map<string, Note>()
    for (let look = 0; look < 2; look++) {
      for (const note of await notesIn(this.#leaseFolder)) found.set(note.id, note)
    }
    return [...found.values()]
  }

  /** Of each, whether whoever made it may still be there. */
  async areAlive(notes: readonly Note[]): Promise<boolean[]> {
    const fates = new Map<string, Fate>()
    const isAlive = async ({ path, owner }: Note): Promise<boolean> => {
      const fate = fates.get(owner) ?? fateOf(owner)
      fates.set(owner, fate)
      return fate === 'unknown' ? await wasTouchedLately(path) : fate === 'open'
    }
    return await Promise.all(notes.map(isAlive))
  }

  /** @throws StoreError when this process stood still for so long that others may have taken it for dead */
  checkAwake(id: string, kind: Kind): void {
    const touchedAt = this.#mine.get(this.#path(id, kind)) ?? -Infinity
    if (performance.now() - touchedAt <= AWAKE_MS) return
    throw new StoreError(
      'this process stood still for too long while it collected garbage; no more was deleted, collect garbage again'
    )
  }

  /** Waits until nobody is deleting what was noted too late for him. */
  async whenGatesAreGone(): Promise<void> {
    const giveUpAt = performance.now() + GATE_PATIENCE_MS
    for (;;) {
      this.#lifetime.check()
      const gate = await this.#firstAlive('gate')
      if (gate === undefined) return
      if (performance.now() > giveUpAt) {
        throw new StoreError(
          `somebody is deleting garbage and does not go on (${gate.path}); see whether that process is stopped`
        )
      }
      await pause(GATE_POLL_MS)
    }
  }

  /** What a lease protects, from an offset in its file on. @returns undefined when it is gone */
  async read(id: string, from: number): Promise<{ roots: Root[]; end: number } | undefined> {
    for (const kind of ['lease', 'released'] as const) {
      try {
        await using file = await open(this.#path(id, kind))
        const { size } = await file.stat()
        // The last record may be half written.
        const bytes = new Uint8Array(Math.max(0, Math.floor((size - from) / RECORD_BYTES)) * RECORD_BYTES)
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

  /** Removes what dead processes have left, and while nobody collects, what released leases have. */
  async tidy(): Promise<void> {
    const sweeps = await notesIn(this.#sweepFolder)
    const areAlive = await this.areAlive(sweeps)
    for (const [i, { path }] of sweeps.entries()) if (!areAlive[i]) await rm(path, { force: true })
    if (sweeps.some(({ kind }, i) => kind === 'gc' && areAlive[i])) return
    const leases = await notesIn(this.#leaseFolder)
    const areHeld = await this.areAlive(leases)
    for (const [i, { path, kind }] of leases.entries()) {
      if (kind === 'released' || !areHeld[i]) await rm(path, { force: true })
    }
  }

  /** To be called when the store has been closed. Leases that are still there end with it. */
  async close(): Promise<void> {
    clearInterval(this.#renewing)
    for (const lease of this.#held) await lease.release()
    for (const path of this.#mine.keys()) await rm(path, { force: true })
    this.#mine.clear()
    endOwner(this.owner)
  }

  #path(id: string, kind: Kind): string {
    const folder = kind === 'gc' || kind === 'gate' ? this.#sweepFolder : this.#leaseFolder
    return join(folder, `${id}.${kind}`)
  }

  async #isCollecting(): Promise<boolean> {
    return (await this.#firstAlive('gc')) !== undefined
  }

  async #firstAlive(kind: 'gc' | 'gate'): Promise<Note | undefined> {
    // Each protecting asks this, and there is hardly ever an entry.
    const notes = notesAmong(this.#sweepFolder, readdirSync(this.#sweepFolder)).filter(
      note => note.kind === kind
    )
    const areAlive = await this.areAlive(notes)
    return notes.find((_, i) => areAlive[i])
  }

  #renew(): void {
    const now = new Date()
    const at = performance.now()
    for (const path of this.#mine.keys()) {
      utimes(path, now, now).then(
        () => {
          if (this.#mine.has(path)) this.#mine.set(path, at)
        },
        error => {
          // One that is gone was released meanwhile, or taken for one of a dead process: then its holder finds out.
          if (!isNotFound(error)) this.#notice(`cannot note that ${path} is in use: ${error.message}`)
        }
      )
    }
  }
}

async function notesIn(folder: string): Promise<Note[]> {
  return notesAmong(folder, await readdir(folder))
}

function notesAmong(folder: string, names: readonly string[]): Note[] {
  const notes: Note[] = []
  for (const name of names) {
    const [, owner, count, kind] = NAME.exec(name) ?? []
    if (owner === undefined || !isOwner(owner)) continue
    notes.push({ path: join(folder, name), id: `${owner}-${count}`, kind: kind as Kind, owner })
  }
  return notes
}

async function wasTouchedLately(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path)
    return Date.now() - mtimeMs <= LEASE_PATIENCE_MS
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

class FsLease implements Lease {
  readonly #leases: FsLeases
  readonly #lifetime: Lifetime
  readonly #id: string
  readonly #held: Set<FsLease>
  #file: FileHandle | undefined
  /** Bytes in the file. */
  #bytes = 0
  #isReleased = false
  /** What is to be noted next, and the promise that it is. */
  #pending: HashAndFormat[] = []
  #next: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(leases: FsLeases, lifetime: Lifetime, id: string, held: Set<FsLease>) {
    this.#leases = leases
    this.#lifetime = lifetime
    this.#id = id
    this.#held = held
  }

  async protect(...blobs: readonly HashAndFormat[]): Promise<void> {
    await this.#lifetime.run(undefined, async () => {
      if (this.#isReleased) throw new LeaseLostError('this lease has been released')
      await explained('cannot note that blobs are in use', () => this.#join(blobs))
    })
  }

  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    // How that ends is told to those who wait for it.
    await this.#next?.catch(() => undefined)
    await this.#running
    this.#held.delete(this)
    if (this.#file === undefined) return
    await this.#file.close()
    // A closed store's leases have ended with it.
    if (this.#lifetime.isOver) return
    await explained('cannot note that blobs are no longer in use', () => this.#leases.release(this.#id))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /** What comes while others are being noted is noted next, all at once: many small blobs are added at the same time. */
  async #join(blobs: readonly HashAndFormat[]): Promise<void> {
    for (const blob of blobs) this.#pending.push(blob)
    this.#next ??= this.#running.then(() => {
      const taken = this.#pending
      this.#pending = []
      this.#next = undefined
      const noting = this.#note(encode(taken))
      this.#running = noting.catch(() => undefined)
      return noting
    })
    await this.#next
  }

  async #note(bytes: Uint8Array): Promise<void> {
    this.#file ??= await this.#leases.make(this.#id, 'lease')
    this.#held.add(this)
    const file = this.#file
    try {
      for (let rest = bytes; rest.length > 0; ) {
        // Into the system's memory: nobody has to believe a lease after a power failure.
        const bytesWritten = writeSync(file.fd, rest)
        this.#bytes += bytesWritten
        rest = rest.subarray(bytesWritten)
      }
    } catch (error) {
      // The disk is full: half a record would put all that come later out of step.
      this.#bytes -= this.#bytes % RECORD_BYTES
      await file.truncate(this.#bytes)
      throw error
    }
    if (fstatSync(file.fd).nlink === 0) {
      throw new LeaseLostError(
        'a lease has ended because this process stood still for too long; what it protected may be gone, add or fetch it again'
      )
    }
    await this.#leases.whenGatesAreGone()
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
