/**
 * The object store's index with many blobs in it: how long it takes to open, to ask for one, to write one, to list all.
 *
 *   node bench/metadata.ts [--rows 1000000] [--dir FOLDER]
 *
 * Each measurement has a process of its own, so that memory is that of one thing. What is read comes from the page cache.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resourceUsage } from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Hash } from '../dist/hash.js'
import { Metadata } from '../dist/store/object/metadata/index.js'
import { endChild, endWithParent, messageFrom, startChild } from './lib/child.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { median } from './lib/trial.ts'

const MIB = 1024 * 1024
const BATCH = 1000
const PAGE = 100
const CALLS = 100_000
const WRITES = 10_000
const OPENINGS = 20
const OWNER = 'bench'

/** What a measurement found, and what it should be at most. */
interface Finding {
  readonly what: string
  readonly found: string
  readonly limit?: string
}

/** Run in a process of its own, with an index of `rows` blobs at `path`. */
const MEASUREMENTS: Readonly<Record<string, (path: string, rows: number) => Promise<Finding[]>>> = {
  opening: async path => {
    const times = Array.from({ length: OPENINGS }, () => {
      const start = performance.now()
      const metadata = Metadata.open(path)
      const time = performance.now() - start
      metadata.close()
      return time
    })
    return [{ what: 'open', found: spread(times), limit: '1 s' }]
  },
  asking: async (path, rows) => {
    using metadata = Metadata.open(path)
    const ask = (offset: number): Promise<number[]> =>
      timesOf(CALLS, i => metadata.find(hashOf(((i * 7919) % rows) + offset)))
    return [
      { what: 'find a blob', found: spread(await ask(0)), limit: '0.1 ms' },
      { what: 'find a blob that is not there', found: spread(await ask(rows)), limit: '0.1 ms' },
      {
        what: 'ask whether others have written',
        found: spread(await timesOf(CALLS, () => metadata.changes()))
      }
    ]
  },
  counting: async path => {
    using metadata = Metadata.open(path)
    return [{ what: 'count blobs by state', found: spread(await timesOf(10, () => metadata.countBlobs())) }]
  },
  listing: async (path, rows) => {
    using metadata = Metadata.open(path)
    const atStart = process.memoryUsage.rss() / MIB
    const start = performance.now()
    let listed = 0
    let slowest = 0
    for (let after: Hash | undefined; ; ) {
      const before = performance.now()
      const page = metadata.listBlobs({ after, limit: PAGE })
      slowest = Math.max(slowest, performance.now() - before)
      listed += page.length
      after = page.at(-1)?.hash
      if (page.length < PAGE) break
    }
    const seconds = (performance.now() - start) / 1000
    if (listed !== rows) throw new Error(`${listed} of ${rows} were listed`)
    const peak = resourceUsage().maxRSS / 1024
    return [
      {
        what: 'list all, memory',
        found: `${peak.toFixed(0)} MiB RSS, of which ${atStart.toFixed(0)} before it began`,
        limit: '100 MiB'
      },
      { what: `list all, ${PAGE} at a time`, found: `${seconds.toFixed(1)} s, slowest page ${ms(slowest)}` }
    ]
  },
  writing: async (path, rows) => {
    using metadata = Metadata.open(path)
    const complete = await timesOf(WRITES, i =>
      metadata.markComplete(hashOf(2 * rows + i), { size: 4096, hasOutboard: false })
    )
    const fragment = await timesOf(WRITES, i =>
      metadata.keepFragment(hashOf(3 * rows + (i >> 5)), { size: 2 ** 40, add: `${i}`, drop: [] })
    )
    const remove = await timesOf(WRITES, i => metadata.remove(hashOf(2 * rows + i), OWNER))
    return [
      { what: 'mark a blob complete', found: spread(complete) },
      { what: 'keep a fragment', found: spread(fragment) },
      { what: 'remove a blob', found: spread(remove) }
    ]
  }
}

/** Lets go of the event loop now and then, as programs do. */
async function timesOf(count: number, action: (i: number) => unknown): Promise<number[]> {
  const times = new Array<number>(count)
  for (let i = 0; i < count; i++) {
    if (i % 16 === 0) await setImmediate()
    const start = performance.now()
    action(i)
    times[i] = performance.now() - start
  }
  return times
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b)
  const high = sorted[Math.ceil(sorted.length * 0.99) - 1]!
  return `median ${ms(median(sorted))}, p99 ${ms(high)}, slowest ${ms(sorted.at(-1)!)}`
}

function ms(time: number): string {
  return `${time >= 10 ? time.toFixed(0) : time.toPrecision(2)} ms`
}

/** As far apart as real hashes are, and the same for the same number. */
function hashOf(number: number): Hash {
  const words = new Uint32Array(8)
  let state = number + 1
  for (let i = 0; i < words.length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 + number
    state = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    words[i] = state ^ (state >>> 15)
  }
  return Hash.fromBytes(new Uint8Array(words.buffer))
}

/** @returns rows per second */
async function fill(path: string, rows: number): Promise<number> {
  using metadata = Metadata.open(path)
  const start = performance.now()
  for (let at = 0; at < rows; at += BATCH) {
    await setImmediate()
    metadata.transaction(() => {
      for (let i = at; i < Math.min(at + BATCH, rows); i++) {
        metadata.markComplete(hashOf(i), { size: i * 1000, hasOutboard: i > 16 })
      }
    })
  }
  return rows / ((performance.now() - start) / 1000)
}

async function measure(rows: number, dir: string): Promise<void> {
  const home = await mkdtemp(join(dir, 'bench-metadata-'))
  const path = join(home, 'blobs.db')
  try {
    const rate = await fill(path, rows)
    const { size } = await stat(path)
    const findings: Finding[] = [
      { what: `fill, ${BATCH} rows in a transaction`, found: `${rate.toFixed(0)} rows/s` },
      { what: 'file', found: `${(size / MIB).toFixed(0)} MiB, ${(size / rows).toFixed(0)} bytes per row` }
    ]
    for (const name of Object.keys(MEASUREMENTS)) {
      const child = startChild(import.meta.filename, [
        '--measure',
        name,
        '--path',
        path,
        '--rows',
        String(rows)
      ])
      findings.push(...(await messageFrom<Finding[]>(child)))
      await endChild(child)
    }
    console.log(`${describeMachine()}; ${describeLoad()}; ${rows} rows\n`)
    console.log('| what | found | at most |\n| --- | --- | --- |')
    for (const { what, found, limit } of findings) console.log(`| ${what} | ${found} | ${limit ?? ''} |`)
  } finally {
    await rm(home, { recursive: true })
  }
}

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    dir: { type: 'string', default: tmpdir() },
    measure: { type: 'string' },
    path: { type: 'string' }
  }
})

if (options.measure === undefined) await measure(Number(options.rows), options.dir)
else {
  endWithParent()
  process.send!(await MEASUREMENTS[options.measure]!(options.path!, Number(options.rows)))
}
