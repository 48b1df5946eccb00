/**
 * Leases, as files that all processes can see, and how they and garbage collection keep out of each other's way.
 *
 * | file | |
 * |---|---|
 * | `leases/<owner>-<n>.lease` | a lease: 33 bytes for each blob it protects, the hash and the format; zeros protect nothing |
 * | `leases/<owner>-<n>.released` | one that was released while garbage was being collected; that collection still heeds it |
 * | `sweeps/<owner>-<n>.gc` | garbage is being collected |
 * | `sweeps/<owner>-<n>.gate` | right now, blobs are being deleted |
 *
 * The owner is an open store of some process (`owners.ts`), which touches its files now and then. Who protects a blob notes it
 * first and looks for gates then; who collects puts up a gate first, and looks for notes then. So either the collector sees
 * the note, or the other one waits until the gate is gone and sees what is left. No gate stays for long, as who waits for it may have
 * asked a peer already, which waits for him: what takes long is read without one, and another batch gets another one.
 *
 * Many leases protect a blob or two, for some milliseconds: to make a file for each and to remove it would take longer than all
 * else that such a lease is about. So a file whose lease has ended is kept for the next one, with what it protected cleared,
 * unless garbage is being collected.
 *
 * Gates have a folder of their own: there may be thousands of leases, and each protecting looks for gates.
 */
import { readdirSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
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
import { decodeRecords, LeaseFile } from './lease-file.ts'

/** Files that are kept for leases to come. */
const MOST_IDLE = 4

/** Milliseconds between two looks whether a gate is gone. */
const GATE_POLL_MS = 5

/** Milliseconds after which a gate that does not go is an error: it stays for a second or so, see `sweep.ts`. */
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
  /** Files of leases that have ended, for those to come. */
  readonly #idle: LeaseFile[] = []
  #count = 0
  #renewing: NodeJS.Timeout | undefined

  constructor({ layout, notice }: Pick<FsContext, 'layout' | 'notice'>, lifetime: Lifetime) {
    this.#leaseFolder = layout.leaseFolder
    this.#sweepFolder = layout.sweepFolder
    this.#notice = notice
    this.#lifetime = lifetime
  }

  lease(): Lease {
    return new FsLease(this, this.#lifetime, this.#held)
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
    const file = await open(path, 'wx')
    this.#mine.set(path, now)
    this.#renewing ??= setInterval(() => this.#renew(), LEASE_RENEW_MS).unref()
    return file
  }

  async remove(id: string, kind: Kind): Promise<void> {
    const path = this.#path(id, kind)
    this.#mine.delete(path)
    await rm(path, { force: true })
  }

  /** A file for a lease. */
  async take(): Promise<LeaseFile> {
    for (let file = this.#idle.pop(); file !== undefined; file = this.#idle.pop()) {
      if (!file.isGone) return file
      await this.#discard(file)
    }
    const id = this.newId()
    return new LeaseFile(id, await this.make(id, 'lease'))
  }

  /** Ends a lease. A collection that is going on keeps what it protected: something else may have come to protect it since. */
  async release(file: LeaseFile): Promise<void> {
    // A closed store's leases have ended with it.
    if (this.#lifetime.isOver) return await file.close()
    const isCollecting = await this.#isCollecting()
    // Closed meanwhile: nobody would close a file that is kept.
    if (this.#lifetime.isOver) return await file.close()
    if (!isCollecting && file.isReusable && this.#idle.length < MOST_IDLE) {
      file.clear()
      this.#idle.push(file)
      return
    }
    if (!isCollecting) return await this.#discard(file)
    await file.close()
    const path = this.#path(file.id, 'lease')
    this.#mine.delete(path)
    try {
      await rename(path, this.#path(file.id, 'released'))
    } catch (error) {
      // It was taken for one of a dead process.
      if (!isNotFound(error)) throw error
    }
  }

  async #discard(file: LeaseFile): Promise<void> {
    await file.close()
    await this.remove(file.id, 'lease')
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

  /** Waits until nobody is deleting what was noted too late for him. Who puts up a gate from now on reads what was noted. */
  async whenGatesAreGone(): Promise<void> {
    this.#lifetime.check()
    let gates = await this.#alive('gate')
    const giveUpAt = performance.now() + GATE_PATIENCE_MS
    while (gates.length > 0) {
      if (performance.now() > giveUpAt) {
        throw new StoreError(
          `somebody is deleting garbage and does not go on (${gates[0]!.path}); see whether that process is stopped`
        )
      }
      await pause(GATE_POLL_MS)
      this.#lifetime.check()
      const still = new Set((await this.#alive('gate')).map(({ id }) => id))
      gates = gates.filter(({ id }) => still.has(id))
    }
  }

  /** What a lease protects, from an offset in its file on. @returns undefined when it is gone */
  async read(id: string, from: number): Promise<{ roots: Root[]; end: number } | undefined> {
    for (const kind of ['lease', 'released'] as const) {
      try {
        await using file = await open(this.#path(id, kind))
        const { size } = await file.stat()
        const bytes = new Uint8Array(Math.max(0, size - from))
        const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
        const { roots, length } = decodeRecords(bytes.subarray(0, bytesRead))
        return { roots, end: from + length }
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
    for (const file of this.#idle.splice(0)) await file.close()
    for (const path of this.#mine.keys()) await rm(path, { force: true })
    this.#mine.clear()
    endOwner(this.owner)
  }

  #path(id: string, kind: Kind): string {
    const folder = kind === 'gc' || kind === 'gate' ? this.#sweepFolder : this.#leaseFolder
    return join(folder, `${id}.${kind}`)
  }

  async #isCollecting(): Promise<boolean> {
    return (await this.#alive('gc')).length > 0
  }

  async #alive(kind: 'gc' | 'gate'): Promise<Note[]> {
    // Each protecting asks this, and there is hardly ever an entry.
    const notes = notesAmong(this.#sweepFolder, readdirSync(this.#sweepFolder)).filter(
      note => note.kind === kind
    )
    const areAlive = await this.areAlive(notes)
    return notes.filter((_, i) => areAlive[i])
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
  readonly #held: Set<FsLease>
  #file: LeaseFile | undefined
  #isReleased = false
  /** What is to be noted next, and the promise that it is. */
  #pending: HashAndFormat[] = []
  #next: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(leases: FsLeases, lifetime: Lifetime, held: Set<FsLease>) {
    this.#leases = leases
    this.#lifetime = lifetime
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
    const file = this.#file
    if (file === undefined) return
    await explained('cannot note that blobs are no longer in use', () => this.#leases.release(file))
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
      const noting = this.#note(taken)
      this.#running = noting.catch(() => undefined)
      return noting
    })
    await this.#next
  }

  async #note(blobs: readonly HashAndFormat[]): Promise<void> {
    this.#file ??= await this.#leases.take()
    this.#held.add(this)
    await this.#file.add(blobs)
    if (this.#file.isGone) {
      throw new LeaseLostError(
        'a lease has ended because this process stood still for too long; what it protected may be gone, add or fetch it again'
      )
    }
    await this.#leases.whenGatesAreGone()
  }
}
