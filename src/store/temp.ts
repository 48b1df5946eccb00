/**
 * Files that are being written, and what killed processes left of them.
 *
 * A name tells whose it is: `<machine>-<pid>-<random>.tmp`, or `<machine>-<pid>-<random>.<hash>.tmp` for what others may want
 * to keep from becoming a blob. At open, files of processes of this machine that no longer run are removed, and any file that
 * nobody has touched for a day: pids of another machine, or of another container that shares the folder, tell us nothing.
 */
import { randomFillSync } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning, machine } from './processes.ts'
import { statIfThere } from './stats.ts'

/** Files untouched for this many milliseconds are nobody's. */
const ABANDONED_MS = 24 * 60 * 60 * 1000

/** Clocks of files and of processes may differ by this many milliseconds. */
const CLOCK_SLACK_MS = 2000

const NAME = /^([0-9a-f]{8})-(\d+)-[0-9a-f]{16}(?:\.[0-9a-f]{64})?\.tmp$/

/** Random bytes in a name, and of how many names they are made at a time: one by one costs as much as making a file. */
const RANDOM_BYTES = 8
const NAMES_AT_A_TIME = 256

export class TempFolder {
  readonly #folder: string
  readonly #random = Buffer.alloc(RANDOM_BYTES * NAMES_AT_A_TIME)
  #used = this.#random.length

  constructor(folder: string) {
    this.#folder = folder
  }

  /** A path that nobody else uses. The file is not made. */
  newPath(): string {
    return this.#newPath('.tmp')
  }

  /**
   * The same for a file that {@link removeFor} takes away until it has its final name.
   *
   * @param hex the hash of the blob that it is to become
   */
  newPathFor(hex: string): string {
    return this.#newPath(endFor(hex))
  }

  /** Takes away what is about to become a blob. Synchronous: there is little in the folder. */
  removeFor(hex: string): void {
    const end = endFor(hex)
    for (const name of readdirSync(this.#folder))
      if (name.endsWith(end)) rmSync(join(this.#folder, name), { force: true })
  }

  #newPath(end: string): string {
    return join(this.#folder, `${machine()}-${process.pid}-${this.#nextRandom()}${end}`)
  }

  #nextRandom(): string {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random)
      this.#used = 0
    }
    const start = this.#used
    this.#used += RANDOM_BYTES
    return this.#random.toString('hex', start, this.#used)
  }

  /** Removes what is abandoned. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name)
      if (await isAbandoned(path, name)) await rm(path, { force: true })
    }
  }
}

function endFor(hex: string): string {
  return `.${hex}.tmp`
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
  const [, owner, pid] = NAME.exec(name) ?? []
  // Not our kind of name: other programs may have a folder of this name, too.
  if (owner === undefined) return false
  const stats = statIfThere(path)
  if (stats === undefined) return false
  const touched = Number(stats.mtimeMs)
  if (Date.now() - touched > ABANDONED_MS) return true
  return owner === machine() && !mayBeAlive(Number(pid), touched)
}

/** Whether the process that wrote a file at `touchedMs` may still run. */
function mayBeAlive(pid: number, touchedMs: number): boolean {
  // Our own pid, but from before we started: in containers every process has the same pid.
  if (pid === process.pid) return touchedMs > Date.now() - process.uptime() * 1000 - CLOCK_SLACK_MS
  return isRunning(pid)
}
