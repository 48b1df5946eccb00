/**
 * A blob from one process to another on this machine, verified, and where the store is on disk, under its final name;
 * in turn with a raw libp2p stream that carries as many bytes and does nothing with them.
 *
 *   node bench/transfer.ts [--mib 512] [--runs 5] [--store NAME] [--from NAME] [--to NAME] [--stack NAME] [--dir FOLDER]
 *                         [--profile FOLDER] [--no-raw]
 *
 * Stores are legacy-fs, memory, filesystem, and s3, for which BLOBS_BENCH_S3_URL names a bucket. Stacks are
 * noise and tls, our node's, and plain; the raw stream beside noise is that of plain.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measurePart, type PartOptions, type PartSample } from './lib/compare-part.ts'
import { ours, raw as rawStream } from './lib/contestants/index.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { markdownTable, middle, spread } from './lib/markdown.ts'
import { stackName } from './lib/stack.ts'
import { storeName } from './lib/stores.ts'

const MIB = 1024 * 1024

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    store: { type: 'string', default: 'legacy-fs' },
    from: { type: 'string' },
    to: { type: 'string' },
    stack: { type: 'string', default: 'noise' },
    dir: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
    'no-raw': { type: 'boolean', default: false }
  }
})
const bytes = Number(values.mib) * MIB
const stack = stackName(values.stack)
const yardstick = rawStream(stack === 'tls' ? 'tls' : 'plain')
const from = storeName(values.from ?? values.store)
const to = storeName(values.to ?? values.store)

function speed({ getter }: PartSample): number {
  return bytes / 1e6 / getter.seconds
}

function row(name: string, samples: readonly PartSample[]): string[] {
  const of = (pick: (sample: PartSample) => number, digits: number): string =>
    middle(samples.map(pick)).toFixed(digits)
  return [
    name,
    spread(samples.map(speed), 0),
    of(({ getter }) => getter.cpuSeconds, 2),
    of(({ provider }) => provider.cpuSeconds, 2),
    of(({ getter }) => getter.peakRssMib, 0),
    of(({ provider }) => provider.peakRssMib, 0),
    of(({ getter }) => getter.heldMs, 0),
    of(({ provider }) => provider.heldMs, 0)
  ]
}

const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
try {
  const source = join(dir, 'blob')
  await makeFile(source, Number(values.mib))
  const options: PartOptions = { part: 'blob', source, expected: bytes, dir }
  const raw: PartSample[] = []
  const own: PartSample[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    if (!values['no-raw']) raw.push(await measurePart(yardstick, options))
    own.push(
      await measurePart(ours(from, stack), { ...options, getter: ours(to, stack), profile: values.profile })
    )
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${values.mib} MiB, ${stack}, medians of ${values.runs} (slowest–fastest)`
  )
  console.log(
    markdownTable(
      [
        'what',
        'MB/s',
        'getter CPU s',
        'provider CPU s',
        'getter RSS MiB',
        'provider RSS MiB',
        'getter held ms',
        'provider held ms'
      ],
      [...(raw.length > 0 ? [row('raw libp2p stream', raw)] : []), row(`blob, ${from} to ${to}`, own)]
    )
  )
  if (raw.length > 0) {
    console.log(`ratio to the raw stream: ${(middle(own.map(speed)) / middle(raw.map(speed))).toFixed(2)}`)
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}
