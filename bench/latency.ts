/**
 * How long one waits: for the first proven byte of a range, for one small blob, for a program to start.
 *
 *   node bench/latency.ts [--only range,s3,one,start] [--mib 8192] [--ranges 200] [--blobs 100000] [--runs 5] [--stack plain|noise|tls]
 *                         [--pause 20] [--dir FOLDER]
 *
 * range   the first byte of a random range of 64 KiB in a large blob on disk, on an open connection
 * s3      the same from the object store on S3 (BLOBS_BENCH_S3_URL names the bucket), in turn with one plain ranged GET, --pause ms
 *         before each and every other time in the other order: a server that has just answered is quicker, and so is one that is
 *         asked for the same bytes again
 * one     one blob of 4 KiB on an open connection, in turn with iroh, if it is installed
 * start   the command and a node, with a home of many blobs. The command runs what is in dist: npm run build
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Hash } from '../dist/hash.js'
import { dataKey } from '../dist/store/object/layout.js'
import { measurePart } from './lib/compare-part.ts'
import { contestantOf, missingPackages, ours } from './lib/contestants/index.ts'
import { makeFolder } from './lib/files.ts'
import { measureFirstBytes } from './lib/first-byte.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { markdownTable, middle, spread } from './lib/markdown.ts'
import { PlainS3 } from './lib/plain-s3.ts'
import { S3_URL_VARIABLE } from './lib/s3-options.ts'
import { stackName } from './lib/stack.ts'
import { fillHome, timeCommand, timeNode, timeServe } from './lib/starting.ts'
import { s3Prefix } from './lib/stores.ts'
import { selectNamed } from './lib/trial.ts'
import { INSTALL_PEERS } from './peers/load.ts'

const FILE_BYTES = 4096
const ONES = 240

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    mib: { type: 'string', default: '8192' },
    ranges: { type: 'string', default: '200' },
    blobs: { type: 'string', default: '100000' },
    runs: { type: 'string', default: '5' },
    stack: { type: 'string', default: 'noise' },
    pause: { type: 'string', default: '20' },
    dir: { type: 'string', default: tmpdir() }
  }
})
const stack = stackName(values.stack)
const mib = Number(values.mib)
const ranges = Number(values.ranges)
const runs = Number(values.runs)
const pauseMs = Number(values.pause)

interface Finding {
  readonly what: string
  /** In ms. */
  readonly times: readonly number[]
  /** In ms. */
  readonly limit?: number
}

type Measurement = (dir: string) => Promise<readonly Finding[]>

const range: Measurement = async dir => {
  const { first, last } = await measureFirstBytes({ store: 'legacy-fs', stack, dir, mib, ranges, pauseMs: 0 })
  return [
    { what: `first byte of 64 KiB of ${mib} MiB, legacy-fs`, times: first, limit: 3 },
    { what: 'the same, last byte', times: last }
  ]
}

const s3: Measurement = async dir => {
  if (process.env[S3_URL_VARIABLE] === undefined) {
    console.log(`left out: s3: ${S3_URL_VARIABLE} names no bucket`)
    return []
  }
  const plain = new PlainS3(1)
  const urls = new Map<string, Promise<string>>()
  const beside = async (hash: string, storeDir: string, offset: number, length: number): Promise<void> => {
    const key = `${s3Prefix(storeDir)}${dataKey(Hash.parse(hash))}`
    if (!urls.has(key)) urls.set(key, plain.getUrl(key))
    const headers = { range: `bytes=${offset}-${offset + length - 1}` }
    await plain.request('GET', await urls.get(key)!, { headers })
  }
  try {
    const times = await measureFirstBytes({ store: 's3', stack, dir, mib, ranges, pauseMs, beside })
    return [
      { what: 'one plain ranged GET of 64 KiB', times: times.beside },
      {
        what: `first byte of 64 KiB of ${mib} MiB, object store on S3`,
        times: times.first,
        limit: 2 * middle(times.beside)
      }
    ]
  } finally {
    await plain.remove(s3Prefix(dir))
    plain.close()
  }
}

const one: Measurement = async dir => {
  const source = join(dir, 'ones')
  await makeFolder(source, ONES, FILE_BYTES)
  const iroh = contestantOf('iroh-disk')
  const isThere = missingPackages(iroh).length === 0
  if (!isThere) console.log(`left out: iroh is not installed; install with: ${INSTALL_PEERS}`)
  const trials = [ours('legacy-fs', stack), ...(isThere ? [iroh] : [])].map(contestant => ({
    contestant,
    times: [] as number[]
  }))
  for (let run = 0; run < runs; run++) {
    for (const { contestant, times } of trials) {
      const options = { part: 'one', source, expected: FILE_BYTES, dir, areStoresLeft: true } as const
      times.push(middle((await measurePart(contestant, options)).ms))
    }
  }
  const limit = trials[1] === undefined ? {} : { limit: middle(trials[1].times) }
  return trials.map(({ contestant, times }, i) => ({
    what: `one blob of 4 KiB, ${contestant.title}`,
    times,
    ...(i === 0 ? limit : {})
  }))
}

const start: Measurement = async dir => {
  const home = join(dir, 'home')
  const objects = join(dir, 'objects')
  await fillHome(home, 'legacy', Number(values.blobs))
  await fillHome(objects, 'filesystem', Number(values.blobs))
  const times = {
    help: [] as number[],
    ls: [] as number[],
    lsObjects: [] as number[],
    serve: [] as number[],
    node: [] as number[],
    process: [] as number[]
  }
  for (let run = 0; run < runs; run++) {
    times.help.push(await timeCommand(home, ['--help']))
    times.ls.push(await timeCommand(home, ['ls']))
    times.lsObjects.push(await timeCommand(objects, ['ls']))
    times.serve.push(await timeServe(home))
    const { process, node } = await timeNode(home)
    times.process.push(process)
    times.node.push(node)
  }
  return [
    { what: 'blobs --help', times: times.help, limit: 200 },
    { what: `blobs ls, ${values.blobs} blobs`, times: times.ls, limit: 1000 },
    { what: 'the same, object store in a folder', times: times.lsObjects, limit: 1000 },
    { what: 'blobs serve, until it tells its address', times: times.serve, limit: 1000 },
    { what: 'createNode', times: times.node, limit: 1000 },
    { what: 'createNode, from the start of its process', times: times.process, limit: 1000 }
  ]
}

const MEASUREMENTS: readonly { readonly name: string; readonly measure: Measurement }[] = [
  { name: 'range', measure: range },
  { name: 's3', measure: s3 },
  { name: 'one', measure: one },
  { name: 'start', measure: start }
]

const findings: Finding[] = []
const chosen = selectNamed(
  MEASUREMENTS,
  values.only.split(/[\s,]+/).filter(word => word !== '')
)
for (const { measure } of chosen) {
  const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
  try {
    findings.push(...(await measure(dir)))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function row({ what, times, limit }: Finding): string[] {
  const verdict =
    limit === undefined ? ['', ''] : [`≤ ${limit.toFixed(1)}`, middle(times) <= limit ? 'yes' : '**no**']
  return [what, spread(times, 2), ...verdict]
}

console.log(`${describeMachine()}; ${describeLoad()}; ${stack}, medians in ms (least–most)\n`)
console.log(markdownTable(['what', 'ms', 'wanted', 'is it so'], findings.map(row)))
