/**
 * Many small files as one collection: added by one process, fetched by another, to disk; in turn with iroh, if it is there.
 *
 *   node bench/small-files.ts [--files 10000] [--bytes 4096] [--runs 5] [--stack plain|noise|tls] [--dir FOLDER] [--profile FOLDER]
 *                            [--ask-sizes] [--no-iroh]
 *
 * With --ask-sizes ours asks for the sizes of all files first, as "blobs get" does for its progress; iroh does not.
 * To compare with iroh: npm install --prefix bench/peers
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measurePart, type PartSample } from './lib/compare-part.ts'
import type { Contestant } from './lib/contestants/contestant.ts'
import { contestantOf, missingPackages, ours, oursAskingSizes } from './lib/contestants/index.ts'
import { makeFolder } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { markdownTable, spread } from './lib/markdown.ts'
import { stackName } from './lib/stack.ts'
import { INSTALL_PEERS } from './peers/load.ts'

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '10000' },
    bytes: { type: 'string', default: '4096' },
    runs: { type: 'string', default: '5' },
    stack: { type: 'string', default: 'noise' },
    dir: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
    'ask-sizes': { type: 'boolean', default: false },
    'no-iroh': { type: 'boolean', default: false }
  }
})
const files = Number(values.files)
const stack = stackName(values.stack)

function contestants(): readonly Contestant[] {
  const own = values['ask-sizes'] ? oursAskingSizes(stack) : ours('legacy-fs', stack)
  const iroh = contestantOf('iroh-disk')
  if (values['no-iroh']) return [own]
  if (missingPackages(iroh).length === 0) return [own, iroh]
  console.log(`iroh is not installed; to compare with it: ${INSTALL_PEERS}`)
  return [own]
}

type Pick = (sample: PartSample) => number

const added: Pick = sample => files / sample.added.seconds
const fetched: Pick = sample => files / sample.getter.seconds

function row(name: string, samples: readonly PartSample[]): string[] {
  const cell = (pick: Pick, digits: number) => spread(samples.map(pick), digits)
  return [
    name,
    cell(added, 0),
    cell(sample => sample.added.cpuSeconds, 1),
    cell(sample => sample.added.peakRssMib, 0),
    cell(fetched, 0),
    cell(sample => sample.getter.cpuSeconds, 1),
    cell(sample => sample.getter.peakRssMib, 0),
    cell(sample => sample.provider.cpuSeconds, 1)
  ]
}

const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
try {
  const source = join(dir, 'files')
  await makeFolder(source, files, Number(values.bytes))
  const trials = contestants().map(contestant => ({ contestant, samples: [] as PartSample[] }))
  for (let run = 0; run < Number(values.runs); run++) {
    for (const { contestant, samples } of trials) {
      const profile = contestant.isJavaScript ? values.profile : undefined
      const options = { part: 'folder', source, expected: files, dir, areStoresLeft: true, profile } as const
      samples.push(await measurePart(contestant, options))
    }
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${files} files of ${values.bytes} bytes, ${stack}, medians of ${values.runs} (least–most)`
  )
  console.log(
    markdownTable(
      ['what', 'added/s', 'CPU s', 'RSS MiB', 'fetched/s', 'CPU s', 'RSS MiB', 'provider CPU s'],
      trials.map(({ contestant, samples }) => row(contestant.title, samples))
    )
  )
  const [own, iroh] = trials
  if (own !== undefined && iroh !== undefined) {
    const ratios = (pick: Pick) => own.samples.map((sample, i) => pick(sample) / pick(iroh.samples[i]!))
    console.log(
      `ratio to iroh, run by run: added ${spread(ratios(added), 2)}, fetched ${spread(ratios(fetched), 2)}`
    )
  }
} finally {
  if (process.env.KEEP === undefined) await rm(dir, { recursive: true, force: true })
}
