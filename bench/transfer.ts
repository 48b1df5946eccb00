/**
 * A blob from one process to another on this machine, verified, and where the store is on disk, under its final name;
 * in turn with a raw libp2p stream that carries as many bytes and does nothing with them.
 *
 *   node bench/transfer.ts [--mib 512] [--runs 5] [--store NAME] [--from NAME] [--to NAME] [--dir FOLDER]
 *                         [--profile FOLDER] [--no-raw]
 *
 * Stores are legacy-fs, memory, filesystem, and s3, for which BLOBS_BENCH_S3_URL names a bucket.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { storeName } from './lib/stores.ts'
import { median } from './lib/trial.ts'
import { measureTransfer, type TransferSample } from './lib/two-nodes.ts'
import { measureRaw } from './raw-stream.ts'

const MIB = 1024 * 1024

function row(name: string, samples: readonly TransferSample[]): string {
  const of = (pick: (sample: TransferSample) => number): number[] => samples.map(pick).sort((a, b) => a - b)
  const speeds = of(({ mbPerSecond }) => mbPerSecond)
  const middle = (pick: (sample: TransferSample) => number, digits: number): string =>
    median(of(pick)).toFixed(digits)
  return `| ${[
    name,
    `${median(speeds).toFixed(0)} (${speeds[0]?.toFixed(0)} to ${speeds.at(-1)?.toFixed(0)})`,
    middle(({ getter }) => getter.cpuSeconds, 2),
    middle(({ provider }) => provider.cpuSeconds, 2),
    middle(({ getter }) => getter.peakRssMib, 0),
    middle(({ provider }) => provider.peakRssMib, 0)
  ].join(' | ')} |`
}

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    store: { type: 'string', default: 'legacy-fs' },
    from: { type: 'string' },
    to: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
    'no-raw': { type: 'boolean', default: false }
  }
})
const mib = Number(values.mib)
const from = storeName(values.from ?? values.store)
const to = storeName(values.to ?? values.store)
const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
try {
  const file = join(dir, 'blob')
  await makeFile(file, mib)
  const raw: TransferSample[] = []
  const own: TransferSample[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    if (!values['no-raw']) raw.push(await measureRaw({ bytes: mib * MIB }))
    own.push(await measureTransfer({ from, to, dir, file, profile: values.profile }))
  }
  console.log(`${describeMachine()}; ${describeLoad()}; ${mib} MiB, medians of ${values.runs}`)
  console.log('| what | MB/s | getter CPU s | provider CPU s | getter RSS MiB | provider RSS MiB |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  const speed = (samples: readonly TransferSample[]) =>
    median(samples.map(s => s.mbPerSecond).sort((a, b) => a - b))
  if (raw.length > 0) console.log(row('raw libp2p stream', raw))
  console.log(row(`blob, ${from} to ${to}`, own))
  if (raw.length > 0) console.log(`ratio to the raw stream: ${(speed(own) / speed(raw)).toFixed(2)}`)
} finally {
  await rm(dir, { recursive: true, force: true })
}
