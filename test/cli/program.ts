/** The program as a user runs it: `bin/blobs.js` in a process of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { decodeTicket, encodeTicket } from '../../src/protocol/ticket.ts'
import type { Throttle } from '../helpers/throttle.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const BIN = join(ROOT, 'bin/blobs.js')
const BUILT = join(ROOT, 'dist/cli/main.js')
const LOCK = join(ROOT, 'dist/.building')

const STALE_LOCK_MS = 120_000

/** How long a test waits for a process to do what it should; a failure, never a measurement. */
const PATIENCE_MS = 60_000

/** Makes `dist` if it is older than the sources. `npm test` has done so already; a single test file may be run without. */
export async function ensureBuilt(): Promise<void> {
  mkdirSync(join(ROOT, 'dist'), { recursive: true })
  while (isStale()) {
    if (!tryLock()) {
      await wait(200)
      continue
    }
    try {
      const tsc = join(ROOT, 'node_modules/.bin/tsc')
      const { status, stdout } = spawnSync(tsc, ['-p', 'src/tsconfig.json'], { cwd: ROOT, encoding: 'utf8' })
      if (status !== 0) throw new Error(`the build failed:\n${stdout}`)
      return
    } finally {
      rmSync(LOCK, { recursive: true })
    }
  }
}

function isStale(): boolean {
  const built = timeOf(BUILT)
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  return sources.some(name => name.endsWith('.ts') && timeOf(join(ROOT, 'src', name)) > built)
}

function timeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function tryLock(): boolean {
  // Left by a run that was killed while it was building.
  if (Date.now() - timeOf(LOCK) > STALE_LOCK_MS) rmSync(LOCK, { recursive: true, force: true })
  try {
    mkdirSync(LOCK)
    return true
  } catch {
    return false
  }
}

/** A line of JSON that the program has printed. */
export interface ProgramEvent {
  readonly event: string
  readonly [key: string]: unknown
}

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** A program that is running, or has ended. */
export class Program {
  readonly child: ChildProcess
  readonly ended: Promise<Result>
  stdout = ''
  stderr = ''
  /** All that it has said has come by then. */
  #isClosed = false

  constructor(args: readonly string[], { cwd, env }: ProgramOptions) {
    const { DEBUG: _, BLOBS_HOME: __, ...inherited } = process.env
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd,
      env: { ...inherited, HOME: cwd, ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = new Promise((fulfil, reject) => {
      this.child.once('error', reject)
      this.child.once('close', code => {
        this.#isClosed = true
        fulfil({ code, stdout: this.stdout, stderr: this.stderr })
      })
    })
  }

  /** Every line of stdout as JSON. Throws when one is none. */
  get events(): ProgramEvent[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
  }

  /** Waits until `find` finds something. */
  async until<T>(find: (program: this) => T | undefined): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const found = find(this)
      if (found !== undefined) return found
      if (this.#isClosed || Date.now() > deadline) {
        throw new Error(`it did not come (exit code ${this.child.exitCode}):\n${this.stdout}\n${this.stderr}`)
      }
      await wait(20)
    }
  }

  async untilEvent(name: string): Promise<ProgramEvent> {
    return await this.until(program => program.events.find(({ event }) => event === name))
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Result> {
    this.child.kill(signal)
    return await this.ended
  }
}

/** @returns the ticket, by way of the proxy */
export async function throttled(ticket: string, throttle: Throttle): Promise<string> {
  const parsed = decodeTicket(ticket)
  return encodeTicket({
    ...parsed,
    addrs: await Promise.all(parsed.addrs.map(addr => throttle.before(addr)))
  })
}
