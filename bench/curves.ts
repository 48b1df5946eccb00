/**
 * How time and memory grow with the size of a blob, with the number of blobs, and with the number of peers; as figures
 * (docs/performance/curves.json) and as pictures beside them.
 *
 *   node bench/curves.ts [--only size,count,peers] [--stacks noise,tls] [--runs 3] [--most-mib 8192] [--most-blobs 100000]
 *                        [--most-peers 200] [--peers-mib 16] [--dir FOLDER] [--out FOLDER] [--draw]
 *
 * What is not measured now stays as it was; with --draw nothing is measured. A million blobs (--most-blobs 1000000) take many minutes,
 * and 20 GiB of disk in small files.
 * Up to 64 MiB, or 1,000 blobs, the figures are medians of --runs; above, and with peers, of one run.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { drawChart } from './lib/chart.ts'
import { measurePart, type PartOptions, type PartSample } from './lib/compare-part.ts'
import { ours } from './lib/contestants/index.ts'
import { CURVES, type Curve, type CurveName, type CurvePoint, type Curves, chartsOf } from './lib/curves.ts'
import { makeFileOf, makeFolder } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { middle } from './lib/markdown.ts'
import { OUR_STACKS, type Stack } from './lib/stack.ts'
import { measureSwarm } from './lib/swarm.ts'
import { selectNamed } from './lib/trial.ts'

const KIB = 1024
const MIB = 1024 * KIB
const FILE_BYTES = 4096
/** Above these, once is enough. */
const SMALL_BYTES = 64 * MIB
const SMALL_COUNT = 1000
const PEERS = [1, 2, 5, 10, 20, 50, 100, 200]

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    stacks: { type: 'string', default: '' },
    runs: { type: 'string', default: '3' },
    'most-mib': { type: 'string', default: '8192' },
    'most-blobs': { type: 'string', default: '100000' },
    'most-peers': { type: 'string', default: '200' },
    'peers-mib': { type: 'string', default: '16' },
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string', default: join(import.meta.dirname, '../docs/performance') },
    draw: { type: 'boolean', default: false }
  }
})
const runs = Number(values.runs)

function chosen<T extends string>(all: readonly T[], text: string): readonly T[] {
  const words = text.split(/[\s,]+/).filter(word => word !== '')
  return selectNamed(
    all.map(name => ({ name })),
    words
  ).map(({ name }) => name)
}

const stacks = chosen(OUR_STACKS, values.stacks)

/** Powers of `factor` from `first` up to `last`, and `last`. */
function upTo(last: number, first: number, factor: number): number[] {
  const values: number[] = []
  for (let value = first; value < last; value *= factor) values.push(value)
  return [...values, last]
}

async function pointOf(x: number, stack: Stack, times: number, options: PartOptions): Promise<CurvePoint> {
  const contestant = ours('legacy-fs', stack)
  const samples: PartSample[] = []
  for (let run = 0; run < times; run++) samples.push(await measurePart(contestant, options))
  const of = (pick: (sample: PartSample) => number): number => middle(samples.map(pick))
  return {
    contestant: contestant.name,
    x,
    addSeconds: of(({ added }) => added.seconds),
    fetchSeconds: of(({ getter }) => getter.seconds),
    getterRssMib: of(({ getter }) => getter.peakRssMib),
    providerRssMib: of(({ provider }) => provider.peakRssMib)
  }
}

const MEASUREMENTS: Readonly<Record<CurveName, (dir: string) => AsyncGenerator<CurvePoint>>> = {
  async *size(dir) {
    const source = join(dir, 'blob')
    for (const bytes of upTo(Number(values['most-mib']) * MIB, KIB, 4)) {
      await makeFileOf(source, bytes)
      for (const stack of stacks) {
        const options = { part: 'blob', source, expected: bytes, dir } as const
        yield await pointOf(bytes, stack, bytes > SMALL_BYTES ? 1 : runs, options)
      }
    }
  },
  async *count(dir) {
    for (const [i, files] of upTo(Number(values['most-blobs']), 1, 10).entries()) {
      // Short: the names of a million files have to fit a collection.
      const source = join(dir, `${i}`)
      await makeFolder(source, files, FILE_BYTES)
      for (const stack of stacks) {
        const options = { part: 'folder', source, expected: files, dir, areStoresLeft: true } as const
        yield await pointOf(files, stack, files > SMALL_COUNT ? 1 : runs, options)
      }
    }
  },
  async *peers(dir) {
    const file = join(dir, 'blob')
    const bytes = Number(values['peers-mib']) * MIB
    await makeFileOf(file, bytes)
    for (const getters of PEERS.filter(count => count <= Number(values['most-peers']))) {
      for (const stack of stacks) {
        const provider = ours('legacy-fs', stack)
        const { totalMbPerSecond, provider: spent } = await measureSwarm({
          provider,
          stack,
          getters,
          file,
          bytes,
          dir
        })
        const { name: contestant } = provider
        yield { contestant, x: getters, mbPerSecond: totalMbPerSecond, providerRssMib: spent.peakRssMib }
      }
    }
  }
}

async function measure(name: CurveName): Promise<Curve> {
  const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
  try {
    const points: CurvePoint[] = []
    for await (const point of MEASUREMENTS[name](dir)) {
      console.log(name, JSON.stringify(point))
      points.push(point)
    }
    return { machine: `${describeMachine()}; ${describeLoad()}`, points }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Four digits are more than is known. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value
}

const path = join(values.out, 'curves.json')
const curves: Curves = existsSync(path) ? JSON.parse(await readFile(path, 'utf8')) : {}
await mkdir(values.out, { recursive: true })
if (!values.draw) {
  for (const name of chosen(CURVES, values.only)) {
    curves[name] = await measure(name)
    await writeFile(path, `${JSON.stringify(curves, rounded, 2)}\n`)
  }
}
for (const name of CURVES) {
  const curve = curves[name]
  if (curve === undefined) continue
  for (const [file, chart] of Object.entries(chartsOf(name, curve))) {
    await writeFile(join(values.out, `${file}.svg`), drawChart(chart))
  }
}
