/**
 * This project beside others: one large blob, many small ones as a collection, small ones one by one; from one process to
 * another, from disk to disk where there is a disk, verified. All take turns, round by round, in an order that is drawn by lot for each round.
 *
 *   node bench/compare.ts [--mib 512] [--files 10000] [--runs 5] [--only WORDS] [--parts WORDS] [--no-peers] [--dir FOLDER]
 *                         [--save FILE] [--profile FOLDER]
 *
 * --only takes parts of contestants' names, with commas in between; --parts some of blob, folder, one. With --save, the figures
 * are kept in a file; run again with the same file, only rounds that are not there yet are measured, and the tables are about all
 * of them: so a run can be cut into pieces, and --runs 0 prints the tables again. The peers are installed by: npm install --prefix bench/peers
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measurePart, type PartOptions } from './lib/compare-part.ts'
import { comparisonTable, failureLines, pointsTable } from './lib/compare-table.ts'
import { type Contestant, PARTS, type Part } from './lib/contestants/contestant.ts'
import { CONTESTANTS, isPeer, missingPackages } from './lib/contestants/index.ts'
import { makeFile, makeFolder } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { type Measured, Samples } from './lib/samples.ts'
import { selectNamed } from './lib/trial.ts'
import { INSTALL_PEERS } from './peers/load.ts'

const MIB = 1024 * 1024
const FILE_BYTES = 4096
/** Small blobs that are fetched one by one; the first 20 are not counted. */
const ONES = 240

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    files: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    parts: { type: 'string', default: '' },
    'no-peers': { type: 'boolean', default: false },
    dir: { type: 'string', default: tmpdir() },
    save: { type: 'string' },
    profile: { type: 'string' }
  }
})
const words = (text: string): string[] => text.split(/[\s,]+/).filter(word => word !== '')
const files = Number(values.files)
const blobBytes = Number(values.mib) * MIB

/** Those that can take part. Why others cannot is told. */
function present(): readonly Contestant[] {
  const wanted = CONTESTANTS.filter(contestant => !(values['no-peers'] && isPeer(contestant)))
  return selectNamed(wanted, words(values.only)).filter(contestant => {
    const packages = missingPackages(contestant)
    if (packages.length === 0) return true
    console.log(`left out: ${contestant.title}: not installed: ${packages.join(', ')}; ${INSTALL_PEERS}`)
    return false
  })
}

function selectedParts(): readonly Part[] {
  return selectNamed(
    PARTS.map(name => ({ name })),
    words(values.parts)
  ).map(({ name }) => name)
}

async function makeSources(dir: string, parts: readonly Part[]): Promise<Record<Part, PartOptions>> {
  const [blob, folder, ones] = ['blob', 'files', 'ones'].map(name => join(dir, name)) as [
    string,
    string,
    string
  ]
  if (parts.includes('blob')) await makeFile(blob, Number(values.mib))
  if (parts.includes('folder')) await makeFolder(folder, files, FILE_BYTES)
  if (parts.includes('one')) await makeFolder(ones, ONES, FILE_BYTES)
  const common = { dir, profile: values.profile }
  return {
    blob: { ...common, part: 'blob', source: blob, expected: blobBytes },
    folder: { ...common, part: 'folder', source: folder, expected: files, areStoresLeft: true },
    one: { ...common, part: 'one', source: ones, expected: FILE_BYTES, areStoresLeft: true }
  }
}

interface Trial {
  readonly round: number
  readonly part: Part
  readonly contestant: Contestant
}

/**
 * What has not been measured yet, round by round, in each in an order that is drawn by lot: who always comes after the same one has the
 * disk and the processor's cache as that one leaves them, and a tenth more or less is nothing rare.
 */
function trialsLeft(
  contestants: readonly Contestant[],
  parts: readonly Part[],
  samples: Samples
): readonly Trial[] {
  const rounds = Array.from({ length: Number(values.runs) }, (_, round) => round)
  return rounds.flatMap(round =>
    parts.flatMap(part =>
      shuffled(contestants)
        .filter(({ name, parts: can }) => can.includes(part) && samples.rounds(name, part) <= round)
        .map(contestant => ({ round, part, contestant }))
    )
  )
}

/** In any order, each as likely as the others. */
function shuffled<T>(items: readonly T[]): T[] {
  const left = [...items]
  return items.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]!)
}

/** A contestant that fails does not keep the others from going on. */
async function run({ round, part, contestant }: Trial, options: PartOptions): Promise<Measured> {
  const { name } = contestant
  try {
    return { round, part, contestant: name, sample: await measurePart(contestant, options) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { round, part, contestant: name, error: error.message }
  }
}

async function runAll(trials: readonly Trial[], parts: readonly Part[], samples: Samples): Promise<void> {
  if (trials.length === 0) return
  const dir = await mkdtemp(join(values.dir, 'blobs-bench-'))
  try {
    const sources = await makeSources(dir, parts)
    for (const trial of trials) samples.add(await run(trial, sources[trial.part]))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const contestants = present()
const parts = selectedParts()
const samples = new Samples({ blobBytes, files, fileBytes: FILE_BYTES }, values.save)
await runAll(trialsLeft(contestants, parts, samples), parts, samples)
console.log(
  `${describeMachine()}; ${describeLoad()}; ${values.mib} MiB, ${files} × ${FILE_BYTES} bytes, medians of up to ${samples.mostRounds} rounds (least–most)\n`
)
console.log(`${comparisonTable(contestants, samples)}\n\n${pointsTable(samples)}`)
for (const line of failureLines(samples)) console.log(line)
