/**
 * Adding one large file to a store, beside copying it and beside iroh; and hashing it, on one thread and on two. Each in a process
 * of its own, in turn.
 *
 *   node bench/add.ts [--mib 512] [--runs 5] [--dir FOLDER] [--profile FOLDER] [WORD…]    only trials whose names contain a word
 *
 * The source is in the page cache. iroh takes part when it is installed: npm install --prefix bench/peers
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ADD_TRIALS, type AddSample, type AddTrial, isIrohInstalled } from './lib/add-child.ts'
import { endChild, messageFrom, startChild } from './lib/child.ts'
import { makeFile } from './lib/files.ts'
import { describeLoad, describeMachine } from './lib/machine.ts'
import { median } from './lib/trial.ts'

const MIB = 1024 * 1024
const SCRIPT = join(import.meta.dirname, 'lib/add-child.ts')

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    mib: { type: 'string', default: '512' },
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    profile: { type: 'string' }
  }
})
const trials = ADD_TRIALS.filter(name => name !== 'add to iroh 0.35' || isIrohInstalled()).filter(
  name => words.length === 0 || words.some(word => name.includes(word))
)

async function measure(trial: AddTrial, file: string, dir: string): Promise<AddSample> {
  const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
  const store = join(dir, 'store')
  const child = startChild(SCRIPT, [trial, file, store, String(Number(options.mib) * MIB)], profiling)
  try {
    return await messageFrom<AddSample>(child)
  } finally {
    await endChild(child)
    await rm(store, { recursive: true, force: true })
  }
}

/** The median of what is picked of each run. */
function middle(samples: readonly AddSample[], pick: (sample: AddSample) => number): number {
  return median(samples.map(pick).sort((a, b) => a - b))
}

function row(trial: AddTrial, samples: readonly AddSample[], base: readonly AddSample[] | undefined): string {
  const speeds = samples.map(({ mbPerSecond }) => mbPerSecond).sort((a, b) => a - b)
  return `| ${[
    trial,
    `${median(speeds).toFixed(0)} (${speeds[0]?.toFixed(0)} to ${speeds.at(-1)?.toFixed(0)})`,
    base === undefined ? '' : ratio(samples, base),
    middle(samples, ({ cpuSeconds }) => cpuSeconds).toFixed(2),
    middle(samples, ({ peakRssMib }) => peakRssMib).toFixed(0),
    middle(samples, ({ heldMs }) => heldMs).toFixed(1)
  ].join(' | ')} |`
}

/** Of each run's two, since the machine is not the same in each run. */
function ratio(samples: readonly AddSample[], base: readonly AddSample[]): string {
  const ratios = samples.map(({ mbPerSecond }, run) => mbPerSecond / base[run]!.mbPerSecond)
  return median(ratios.sort((a, b) => a - b)).toFixed(2)
}

const dir = await mkdtemp(join(options.dir, 'bench-add-'))
try {
  const file = join(dir, 'blob')
  await makeFile(file, Number(options.mib))
  const samples = new Map(trials.map(trial => [trial, [] as AddSample[]]))
  for (let run = 0; run < Number(options.runs); run++)
    for (const [trial, of] of samples) of.push(await measure(trial, file, dir))
  const iroh = samples.get('add to iroh 0.35')
  console.log(`${describeMachine()}; ${describeLoad()}; ${options.mib} MiB, medians of ${options.runs}\n`)
  console.log(
    '| trial | MB/s | x iroh | CPU s | peak RSS MiB | blocked ms |\n| --- | --- | --- | --- | --- | --- |'
  )
  for (const [trial, of] of samples) console.log(row(trial, of, trial.startsWith('hash') ? undefined : iroh))
  const [one, two] = [samples.get('hash on 1 thread'), samples.get('hash on 2 threads')]
  if (one !== undefined && two !== undefined) console.log(`\n2 threads to 1: ${ratio(two, one)}`)
} finally {
  await rm(dir, { recursive: true, force: true })
}
