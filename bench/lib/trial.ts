/** Measuring named trials against each other. */

/** Something to measure: one run of it handles `bytes` bytes. */
export interface Trial {
  readonly name: string
  readonly bytes: number
  run(): void | Promise<void>
}

/** The speeds of all runs of one trial, in MB/s (10^6 bytes), ascending. */
export interface Measurement {
  readonly name: string
  readonly speeds: readonly number[]
}

/** How often each trial is measured. */
const ROUNDS = 5

/**
 * Runs each trial once to warm up, then all of them in turn, `rounds` times: what disturbs the machine for a while then
 * disturbs all of them.
 */
export async function runAlternating(trials: readonly Trial[], rounds = ROUNDS): Promise<Measurement[]> {
  for (const trial of trials) {
    await trial.run()
  }
  const speeds = trials.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, trial] of trials.entries()) {
      const start = performance.now()
      await trial.run()
      const seconds = (performance.now() - start) / 1000
      speeds[i]!.push(trial.bytes / seconds / 1e6)
    }
  }
  return trials.map(({ name }, i) => ({ name, speeds: speeds[i]!.toSorted((a, b) => a - b) }))
}

/**
 * Those whose names contain one of the words; all, without words.
 *
 * @throws RangeError listing the names, when a word fits none
 */
export function selectNamed<T extends { readonly name: string }>(
  all: readonly T[],
  words: readonly string[]
): readonly T[] {
  const unknown = words.find(word => !all.some(({ name }) => name.includes(word)))
  if (unknown !== undefined) {
    const names = all.map(({ name }) => name).join(', ')
    throw new RangeError(`nothing has "${unknown}" in its name; there are: ${names}`)
  }
  return words.length === 0 ? all : all.filter(({ name }) => words.some(word => name.includes(word)))
}

export function median(ascending: readonly number[]): number {
  const middle = ascending.length >>> 1
  return ascending.length % 2 === 1 ? ascending[middle]! : (ascending[middle - 1]! + ascending[middle]!) / 2
}

/**
 * A Markdown table: median, slowest to fastest, and how many times as fast as the trial named `baseline`.
 *
 * @param baseline without it, or when it was not run, the column is left out
 */
export function toTable(measurements: readonly Measurement[], baseline?: string): string {
  const base = measurements.find(({ name }) => name === baseline)
  const header = ['trial', 'median MB/s', 'slowest to fastest', ...(base ? [`x ${base.name}`] : [])]
  const rows = measurements.map(({ name, speeds }) => [
    name,
    median(speeds).toFixed(0),
    `${speeds[0]?.toFixed(0)} to ${speeds.at(-1)?.toFixed(0)}`,
    ...(base ? [(median(speeds) / median(base.speeds)).toFixed(2)] : [])
  ])
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
