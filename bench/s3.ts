/**
 * The object store on an S3 server, in turn with plain HTTP to the same server: curl with one stream for large objects, and as
 * many requests at a time as the store makes for small ones.
 *
 *   BLOBS_BENCH_S3_URL=s3://key:secret@host:port/bucket node bench/s3.ts [--mib 512] [--runs 5] [--small 1000] [--dir FOLDER]
 * The bucket is left as it was found.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs, promisify } from 'node:util'
import { collectGarbageEarly } from '../dist/node/collect-garbage-early.js'
import { hashWide } from '../dist/node/hash-wide.js'
import { optimizeLate } from '../dist/node/optimize-late.js'
import { Limiter } from '../dist/store/limiter.js'
import { measurePart } from './lib/compare-part.ts'
import { ours } from './lib/contestants/index.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { PlainS3 } from './lib/plain-s3.ts'
import { openStore, s3Prefix } from './lib/stores.ts'
import { median } from './lib/trial.ts'

const MIB = 1024 * 1024
const AT_ONCE = 32
const SMALL_BYTES = 4096

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    small: { type: 'string', default: '1000' },
    dir: { type: 'string', default: tmpdir() }
  }
})
collectGarbageEarly()
optimizeLate()
hashWide()
const bytes = Number(values.mib) * MIB
const count = Number(values.small)
const plain = new PlainS3(AT_ONCE)
const dir = await mkdtemp(join(values.dir, 'blobs-s3-bench-'))
const prefix = `bench-${randomBytes(4).toString('hex')}/`
const file = join(dir, 'blob')
const results = new Map<string, number[]>()
const blocked = new Map<string, number>()

function note(name: string, value: number): void {
  results.set(name, [...(results.get(name) ?? []), value])
}

async function timed(name: string, amount: number, action: () => Promise<unknown>): Promise<void> {
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
  const start = performance.now()
  await action()
  note(name, amount / ((performance.now() - start) / 1000))
  loop.disable()
  blocked.set(name, Math.max(blocked.get(name) ?? 0, loop.max / 1e6))
}

const curl = async (...args: string[]) => await promisify(execFile)('curl', ['-sS', '--fail', ...args])

async function many(action: (i: number) => Promise<unknown>): Promise<void> {
  const limiter = new Limiter(AT_ONCE)
  await Promise.all(Array.from({ length: count }, (_, i) => limiter.run(() => action(i))))
}

async function largeRun(run: number): Promise<void> {
  const key = `${prefix}plain-${run}`
  const put = await plain.putUrl(key)
  const get = await plain.getUrl(key)
  await timed('plain PUT', bytes / 1e6, () => curl('-T', file, put))
  await timed('plain GET', bytes / 1e6, () => curl('-o', '/dev/null', get))
  await plain.remove(key)

  const store = await openStore('s3', join(dir, `add-${run}`))
  let hash: Awaited<ReturnType<typeof store.addPath>>['hash'] | undefined
  await timed('add a file', bytes / 1e6, async () => {
    hash = (await store.addPath(file)).hash
  })
  await store.delete(hash!)
  await store.close()

  for (const [from, to, name] of [
    ['legacy-fs', 'legacy-fs', 'legacy-fs to legacy-fs'],
    ['s3', 'legacy-fs', 'serve from S3'],
    ['legacy-fs', 's3', 'receive into S3']
  ] as const) {
    const sample = await measurePart(ours(from, 'noise'), {
      part: 'blob',
      getter: ours(to, 'noise'),
      source: file,
      expected: bytes,
      dir
    })
    note(name, bytes / 1e6 / sample.getter.seconds)
    note(`${name}: getter RSS MiB`, sample.getter.peakRssMib)
    note(`${name}: provider RSS MiB`, sample.provider.peakRssMib)
    blocked.set(name, Math.max(blocked.get(name) ?? 0, sample.getter.heldMs))
  }
}

async function smallRun(run: number): Promise<void> {
  const bodies = Array.from({ length: count }, (_, i) => {
    const seed = createHash('sha512').update(`${prefix} ${run} ${i}`).digest()
    return Buffer.concat(Array.from({ length: SMALL_BYTES / seed.length }, () => seed))
  })
  const keys = bodies.map((_, i) => `${prefix}small-${run}-${i}`)
  const puts = await Promise.all(keys.map(key => plain.putUrl(key)))
  const gets = await Promise.all(keys.map(key => plain.getUrl(key)))
  await timed('small plain PUT', count, () => many(i => plain.request('PUT', puts[i]!, { body: bodies[i]! })))
  await timed('small plain GET', count, () => many(i => plain.request('GET', gets[i]!)))
  await plain.remove(`${prefix}small-${run}-`)

  const store = await openStore('s3', join(dir, `small-${run}`))
  const added: Awaited<ReturnType<typeof store.addBytes>>[] = []
  await timed('small add', count, () =>
    many(async i => {
      added[i] = await store.addBytes(bodies[i]!)
    })
  )
  const target = new Uint8Array(SMALL_BYTES)
  await timed('small fetch', count, () =>
    many(async i => {
      await using reader = await store.open(added[i]!.hash)
      await reader!.readData(0, target.slice())
    })
  )
  for (const { hash } of added) await store.delete(hash)
  await store.close()
}

function row(name: string, unit: string, against?: string): string {
  const sorted = results.get(name)!.toSorted((a, b) => a - b)
  const middle = median(sorted)
  const base = against === undefined ? undefined : median(results.get(against)!.toSorted((a, b) => a - b))
  return `| ${[
    name,
    `${middle.toFixed(0)} ${unit} (${sorted[0]!.toFixed(0)} to ${sorted.at(-1)!.toFixed(0)})`,
    base === undefined ? '' : `${(middle / base).toFixed(2)} x ${against}`,
    blocked.get(name)?.toFixed(0) ?? ''
  ].join(' | ')} |`
}

try {
  await makeFile(file, Number(values.mib))
  for (let run = 0; run < Number(values.runs); run++) {
    if (bytes > 0) await largeRun(run)
    if (count > 0) await smallRun(run)
    await plain.remove(s3Prefix(dir))
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${values.mib} MiB and ${count} x 4 KiB, medians of ${values.runs}`
  )
  console.log('| what | median (slowest to fastest) | ratio | event loop blocked, ms, at most |')
  console.log('| --- | --- | --- | --- |')
  if (bytes > 0) {
    console.log(row('plain PUT', 'MB/s'))
    console.log(row('plain GET', 'MB/s'))
    console.log(row('add a file', 'MB/s', 'plain PUT'))
    console.log(row('legacy-fs to legacy-fs', 'MB/s'))
    console.log(row('serve from S3', 'MB/s', 'plain GET'))
    console.log(row('serve from S3', 'MB/s', 'legacy-fs to legacy-fs'))
    console.log(row('receive into S3', 'MB/s', 'plain PUT'))
    console.log(row('receive into S3', 'MB/s', 'legacy-fs to legacy-fs'))
    for (const name of results.keys()) if (name.includes('RSS')) console.log(row(name, 'MiB'))
  }
  if (count > 0) {
    console.log(row('small plain PUT', '/s'))
    console.log(row('small plain GET', '/s'))
    console.log(row('small add', '/s', 'small plain PUT'))
    console.log(row('small fetch', '/s', 'small plain GET'))
  }
} finally {
  await plain.remove(s3Prefix(dir))
  plain.close()
  await rm(dir, { recursive: true, force: true })
}
