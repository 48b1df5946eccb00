/**
 * What a libp2p stream can carry at all: bytes from one process to another on this machine, through our reader and writer, with
 * no hashing and no disk. The yardstick of the transfer benchmarks, which run it in turn with their own: both then meet the same
 * machine.
 *
 *   node bench/raw-stream.ts [--mib 512] [--runs 5] [--stack plain|noise|tls]
 */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measurePart, type PartSample } from './lib/compare-part.ts'
import { raw } from './lib/contestants/index.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { spread } from './lib/markdown.ts'
import { stackName } from './lib/stack.ts'

const MIB = 1024 * 1024

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    stack: { type: 'string', default: 'noise' }
  }
})
const bytes = Number(values.mib) * MIB
const stack = stackName(values.stack)
const dir = await mkdtemp(join(tmpdir(), 'blobs-bench-'))
const samples: PartSample[] = []
try {
  // Only its size counts.
  const source = join(dir, 'blob')
  await writeFile(source, '')
  await truncate(source, bytes)
  for (let run = 0; run < Number(values.runs); run++) {
    samples.push(await measurePart(raw(stack), { part: 'blob', source, expected: bytes, dir }))
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}

function print(what: string, unit: string, digits: number, pick: (sample: PartSample) => number): void {
  console.log(`${what.padEnd(18)} ${spread(samples.map(pick), digits)} ${unit}`)
}

console.log(`${describeMachine()}; ${describeLoad()}; ${values.mib} MiB, ${values.runs} runs, ${stack}`)
print('speed', 'MB/s', 0, ({ getter }) => bytes / 1e6 / getter.seconds)
print('getter CPU', 's', 2, ({ getter }) => getter.cpuSeconds)
print('provider CPU', 's', 2, ({ provider }) => provider.cpuSeconds)
print('getter peak RSS', 'MiB', 0, ({ getter }) => getter.peakRssMib)
print('provider peak RSS', 'MiB', 0, ({ provider }) => provider.peakRssMib)
