/**
 * Many getters of one blob at one provider: what the provider needs, and what all get together beside what one gets alone.
 *
 *   node bench/swarm.ts [--getters 200] [--mib 64] [--runs 1] [--stack plain|noise|tls] [--store legacy-fs] [--processes N] [--dir FOLDER]
 *
 * Getters check what they get, and store nothing. They are spread over as many processes as there are processors, but for one.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ours } from './lib/contestants/index.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { markdownTable, middle, spread } from './lib/markdown.ts'
import { stackName } from './lib/stack.ts'
import { storeName } from './lib/stores.ts'
import { measureSwarm, type SwarmSample } from './lib/swarm.ts'

const MIB = 1024 * 1024
/** What is wanted, of 200 getters of 64 MiB. */
const MOST_RSS_MIB = 600
const LEAST_RATIO = 0.8

const { values } = parseArgs({
  options: {
    getters: { type: 'string', default: '200' },
    mib: { type: 'string', default: '64' },
    runs: { type: 'string', default: '1' },
    stack: { type: 'string', default: 'noise' },
    store: { type: 'string', default: 'legacy-fs' },
    processes: { type: 'string' },
    dir: { type: 'string', default: tmpdir() }
  }
})
const stack = stackName(values.stack)
const getters = Number(values.getters)
const bytes = Number(values.mib) * MIB
const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
const samples: SwarmSample[] = []
try {
  const file = join(dir, 'blob')
  await makeFile(file, Number(values.mib))
  const processes = values.processes === undefined ? undefined : Number(values.processes)
  for (let run = 0; run < Number(values.runs); run++) {
    const provider = ours(storeName(values.store), stack)
    samples.push(await measureSwarm({ provider, stack, getters, file, bytes, dir, processes }))
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}
const of = (pick: (sample: SwarmSample) => number): number[] => samples.map(pick)
const ratios = of(({ totalMbPerSecond, singleMbPerSecond }) => totalMbPerSecond / singleMbPerSecond)
const memory = of(({ provider }) => provider.peakRssMib)
const isSo = (yes: boolean): string => (yes ? 'yes' : '**no**')
console.log(
  `${describeMachine()}; ${describeLoad()}; ${getters} getters of ${values.mib} MiB, ${values.store}, ${stack}, ${values.runs} runs\n`
)
console.log(
  markdownTable(
    ['what', 'found', 'wanted', 'is it so'],
    [
      [
        'one getter alone, MB/s',
        spread(
          of(s => s.singleMbPerSecond),
          0
        ),
        '',
        ''
      ],
      [
        'all together, MB/s',
        spread(
          of(s => s.totalMbPerSecond),
          0
        ),
        '',
        ''
      ],
      ['ratio of the two', spread(ratios, 2), `≥ ${LEAST_RATIO}`, isSo(middle(ratios) >= LEAST_RATIO)],
      [
        'provider peak RSS, MiB',
        spread(memory, 0),
        `≤ ${MOST_RSS_MIB}`,
        isSo(middle(memory) <= MOST_RSS_MIB)
      ],
      [
        'provider CPU, s/GiB',
        spread(
          of(s => (s.provider.cpuSeconds * 2 ** 30) / (bytes * getters)),
          2
        ),
        '',
        ''
      ],
      [
        'getters CPU, s/GiB',
        spread(
          of(s => (s.gettersCpuSeconds * 2 ** 30) / (bytes * getters)),
          2
        ),
        '',
        ''
      ],
      [
        'provider event loop held, ms',
        spread(
          of(s => s.provider.heldMs),
          0
        ),
        '',
        ''
      ],
      [
        'of that, the most that its thread ran, ms',
        spread(
          of(s => s.provider.heldCpuMs),
          0
        ),
        '',
        ''
      ],
      [
        'first getter done, s',
        spread(
          of(s => Math.min(...s.seconds)),
          1
        ),
        '',
        ''
      ],
      [
        'last getter done, s',
        spread(
          of(s => Math.max(...s.seconds)),
          1
        ),
        '',
        ''
      ]
    ]
  )
)
