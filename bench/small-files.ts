/**
 * Many small files as one collection: added by one process, fetched by another, to disk; in turn with iroh, if it is there.
 *
 *   node bench/small-files.ts [--files 10000] [--bytes 4096] [--runs 5] [--dir FOLDER] [--profile FOLDER] [--ask-sizes]
 *                            [--no-iroh]
 *
 * With --ask-sizes ours asks for the sizes of all files first, as "blobs get" does for its progress; iroh does not.
 * To compare with iroh: npm install --prefix bench/peers
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isIrohInstalled } from './lib/folder-iroh.ts'
import { type FolderSample, measureFolder } from './lib/folder-trial.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { median } from './lib/trial.ts'

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '10000' },
    bytes: { type: 'string', default: '4096' },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
    'ask-sizes': { type: 'boolean', default: false },
    'no-iroh': { type: 'boolean', default: false }
  }
})
const files = Number(values.files)

interface Peer {
  readonly name: string
  readonly script: string
  readonly profile?: string | undefined
  readonly getArgs?: readonly string[]
}

function peers(): readonly Peer[] {
  const script = (name: string) => join(import.meta.dirname, 'lib', name)
  const ours = {
    name: 'libp2p-blobs',
    script: script('folder-ours.ts'),
    profile: values.profile,
    getArgs: values['ask-sizes'] ? ['ask-sizes'] : []
  }
  if (values['no-iroh']) return [ours]
  if (isIrohInstalled()) return [ours, { name: 'iroh 0.35', script: script('folder-iroh.ts') }]
  console.log('iroh is not installed; to compare with it: npm install --prefix bench/peers')
  return [ours]
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder)
  for (let i = 0; i < files; i++) {
    await writeFile(join(folder, `file-${String(i).padStart(6, '0')}`), randomBytes(Number(values.bytes)))
  }
}

/** Middle, smallest and largest. */
function spread(numbers: readonly number[], digits: number): string {
  const ascending = numbers.toSorted((a, b) => a - b)
  const [middle, least, most] = [median(ascending), ascending[0]!, ascending.at(-1)!].map(number =>
    number.toFixed(digits)
  )
  return `${middle} (${least} to ${most})`
}

type Pick = (sample: FolderSample) => number

const added: Pick = sample => files / sample.added.seconds
const fetched: Pick = sample => files / sample.fetched.seconds

function row(name: string, samples: readonly FolderSample[]): string {
  const cells = (['added', 'fetched'] as const).flatMap(what => [
    spread(
      samples.map(sample => files / sample[what].seconds),
      0
    ),
    spread(
      samples.map(sample => sample[what].cost.cpuSeconds),
      1
    ),
    spread(
      samples.map(sample => sample[what].cost.peakRssMib),
      0
    )
  ])
  return `| ${[name, ...cells].join(' | ')} |`
}

const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
try {
  const folder = join(dir, 'files')
  await makeFolder(folder)
  const trials = peers().map(peer => ({ ...peer, samples: [] as FolderSample[] }))
  for (let run = 0; run < Number(values.runs); run++) {
    for (const { name, script, samples, ...options } of trials) {
      const sample = await measureFolder(script, { folder, dir, ...options })
      if (sample.fetched.blobs < files) throw new Error(`${name} fetched ${sample.fetched.blobs} blobs only`)
      samples.push(sample)
    }
  }
  console.log(
    `${describeMachine()}; ${describeLoad()}; ${files} files of ${values.bytes} bytes, medians of ${values.runs} (least to most)`
  )
  console.log('| what | added/s | CPU s | RSS MiB | fetched/s | CPU s | RSS MiB |')
  console.log('| --- | --- | --- | --- | --- | --- | --- |')
  for (const { name, samples } of trials) console.log(row(name, samples))
  const [ours, iroh] = trials
  if (ours !== undefined && iroh !== undefined) {
    const ratios = (pick: Pick) => ours.samples.map((sample, i) => pick(sample) / pick(iroh.samples[i]!))
    console.log(
      `ratio to iroh, run by run: added ${spread(ratios(added), 2)}, fetched ${spread(ratios(fetched), 2)}`
    )
  }
} finally {
  await rm(dir, { recursive: true, force: true })
}
