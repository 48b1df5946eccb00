/** Commands of the built program as processes, with their events and their memory. Needs dist, which `npm run build` makes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'

const BLOBS = join(import.meta.dirname, '../../bin/blobs.js')
export const MIB = 1024 * 1024

/** Above this a process holds more than its buffers: a node at rest has about 110 MiB. */
export const MOST_RSS_MIB = 400

const children: ChildProcess[] = []

export function killAll(): void {
  for (const child of children) child.kill('SIGKILL')
}

export type Event = { readonly event: string } & Record<string, unknown>

/** A command with `--json`: its events as they come, and how it ended. */
export function run(home: string, cwd: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(
    process.execPath,
    [BLOBS, '--json', '--home', home, '--listen', '/ip4/127.0.0.1/tcp/0', ...args],
    {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    }
  )
  children.push(child)
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  const events: Event[] = []
  const waiting: { want: (event: Event) => boolean; found: (event: Event) => void }[] = []
  let peakRssMib = 0
  createInterface({ input: child.stdout }).on('line', line => {
    const event = JSON.parse(line) as Event
    events.push(event)
    peakRssMib = Math.max(peakRssMib, rssMibOf(child.pid!))
    for (const { want, found } of waiting) if (want(event)) found(event)
  })
  const exit = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    events,
    exit,
    get stderr() {
      return stderr
    },
    get peakRssMib() {
      return peakRssMib
    },
    /** The first event for which `want` holds; fails when the process ends before. */
    async event(want: (event: Event) => boolean): Promise<Event> {
      const found = events.find(want)
      if (found !== undefined) return found
      return await Promise.race([
        new Promise<Event>(resolve => waiting.push({ want, found: resolve })),
        exit.then(code => {
          const late = events.find(want)
          if (late !== undefined) return late
          throw new Error(`the process ended with ${code}: ${stderr}`)
        })
      ])
    }
  }
}

/** Highest resident memory so far; 0 when the process is gone. */
export function rssMibOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ESRCH'
    )
      return 0
    throw error
  }
}

export async function randomFile(path: string, bytes: number): Promise<{ path: string; digest: string }> {
  const file = await open(path, 'w')
  const digest = createHash('sha256')
  const piece = new Uint8Array(MIB)
  for (let left = bytes; left > 0; left -= MIB) {
    const part = randomFillSync(piece).subarray(0, Math.min(MIB, left))
    digest.update(part)
    await file.write(part)
  }
  await file.close()
  return { path, digest: digest.digest('hex') }
}

export async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path), digest)
  return digest.digest('hex')
}
