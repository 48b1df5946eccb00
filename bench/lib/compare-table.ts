/** The tables that the comparison prints. */
import type { PartSample } from './compare-part.ts'
import type { Contestant, Part } from './contestants/contestant.ts'
import { contestantOf } from './contestants/index.ts'
import { markdownTable, middle, spread } from './markdown.ts'
import { POINTS, type Point } from './points.ts'
import type { Pick, Samples } from './samples.ts'

const GIB = 2 ** 30
const NONE = '–'

const HEADER = [
  'what',
  'add, MB/s',
  'fetch, MB/s',
  'CPU s/GiB, getter / provider',
  'peak RSS MiB, getter / provider',
  'loop held ms, getter / provider / adding',
  'small: added/s',
  'small: fetched/s',
  'one small, ms'
]

export function comparisonTable(contestants: readonly Contestant[], samples: Samples): string {
  return markdownTable(
    HEADER,
    contestants.map(contestant => row(contestant, samples))
  )
}

function row({ name, title, adds, isJavaScript }: Contestant, samples: Samples): string[] {
  const { blobBytes, files } = samples.sizes
  const each = (part: Part, pick: Pick) => samples.of(name, part).map(pick)
  const pair = (picks: readonly Pick[], digits: number): string =>
    samples.of(name, 'blob').length === 0
      ? NONE
      : picks.map(pick => middle(each('blob', pick)).toFixed(digits)).join(' / ')
  const perGib = (cpuSeconds: number): number => (cpuSeconds * GIB) / blobBytes
  const held: Pick[] = [
    s => s.getter.heldMs,
    s => s.provider.heldMs,
    ...(adds ? [(s: PartSample) => s.added.heldMs] : [])
  ]
  return [
    title,
    adds
      ? spread(
          each('blob', s => blobBytes / 1e6 / s.added.seconds),
          0
        )
      : NONE,
    spread(
      each('blob', s => blobBytes / 1e6 / s.getter.seconds),
      0
    ),
    pair([s => perGib(s.getter.cpuSeconds), s => perGib(s.provider.cpuSeconds)], 2),
    pair([s => s.getter.peakRssMib, s => s.provider.peakRssMib], 0),
    isJavaScript ? pair(held, 0) : NONE,
    spread(
      each('folder', s => files / s.added.seconds),
      0
    ),
    spread(
      each('folder', s => files / s.getter.seconds),
      0
    ),
    spread(
      each('one', s => middle(s.ms)),
      2
    )
  ]
}

/** What is wanted, and whether it is so. What was not measured is left out. */
export function pointsTable(samples: Samples): string {
  return markdownTable(
    ['wanted', 'found', 'rounds', 'is it so'],
    POINTS.flatMap(point => pointRow(point, samples))
  )
}

/** No row, or one. */
function pointRow(point: Point, samples: Samples): string[][] {
  const found = point.found(samples)
  const sign = point.isLimit ? '≤' : '≥'
  const wanted = `${point.what} ${sign} ${point.wanted}`
  if (found.length === 0) return []
  const value = middle(found)
  const isSo = point.isLimit ? value <= point.wanted : value >= point.wanted
  return [[wanted, spread(found, 2), String(found.length), isSo ? 'yes' : '**no**']]
}

export function failureLines(samples: Samples): readonly string[] {
  return samples
    .failures()
    .map(
      ({ round, contestant, part, error }) =>
        `failed: ${contestantOf(contestant).title}, ${part}, round ${round + 1}: ${error}`
    )
}
