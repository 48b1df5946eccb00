/** What this project wants to be true of itself beside others, as ratios within a round. */
import type { Part } from './contestants/contestant.ts'
import { middle } from './markdown.ts'
import type { Pick, Samples } from './samples.ts'

export interface Point {
  readonly what: string
  readonly wanted: number
  /** Whether what is wanted is the most, rather than the least. */
  readonly isLimit: boolean
  /** The figure of each round. */
  found(samples: Samples): readonly number[]
}

const fetchSpeed: Pick = ({ getter }) => 1 / getter.seconds
const addSpeed: Pick = ({ added }) => 1 / added.seconds
const oneTime: Pick = ({ ms }) => middle(ms)

function ratio(part: Part, pick: Pick, what: string, isLimit: boolean) {
  return (ours: string, wanted: number, other: string): Point => ({
    what: `${ours}: ${what}, × ${other}`,
    wanted,
    isLimit,
    found: samples => samples.ratios(part, [ours, pick], [other, pick])
  })
}

const fetch = ratio('blob', fetchSpeed, 'fetch', false)
const add = ratio('blob', addSpeed, 'add', false)
const fetchSmall = ratio('folder', fetchSpeed, 'fetch many small', false)
const one = ratio('one', oneTime, 'one small, ms', true)
const getterMemory = ratio('blob', s => s.getter.peakRssMib, 'getter RSS', true)
const providerMemory = ratio('blob', s => s.provider.peakRssMib, 'provider RSS', true)

function held(contestant: string, whose: 'getter' | 'provider' | 'added'): Point {
  return {
    what: `${contestant}: event loop held, ${whose === 'added' ? 'adding' : whose}, ms`,
    wanted: 20,
    isLimit: true,
    found: samples => samples.of(contestant, 'blob').map(sample => sample[whose].heldMs)
  }
}

const BOTH_DISKS = ['ours-disk-noise', 'ours-disk-tls'] as const

export const POINTS: readonly Point[] = [
  fetch('ours-disk-noise', 1.4, 'iroh-disk'),
  fetch('ours-disk-noise', 1.15, 'webtorrent'),
  fetch('ours-disk-noise', 1.5, 'hypercore'),
  fetch('ours-disk-noise', 4, 'helia'),
  fetch('ours-disk-noise', 0.75, 'raw-noise'),
  fetch('ours-disk-noise', 0.75, 'raw-noise-unset'),
  fetch('ours-object-noise', 0.9, 'ours-disk-noise'),
  fetch('ours-object-tls', 0.9, 'ours-disk-tls'),
  fetch('ours-memory-noise', 0.85, 'raw-noise'),
  fetch('ours-memory-noise', 0.85, 'raw-noise-unset'),
  fetch('ours-disk-tls', 2.3, 'iroh-disk'),
  fetch('ours-memory-tls', 1.5, 'iroh-memory'),
  add('ours-disk-noise', 2.5, 'hypercore'),
  add('ours-disk-noise', 1.5, 'webtorrent'),
  add('ours-disk-noise', 0.5, 'iroh-disk'),
  ...BOTH_DISKS.flatMap(ours => [
    fetchSmall(ours, 1.2, 'hypercore'),
    fetchSmall(ours, 1.2, 'iroh-disk'),
    one(ours, 1, 'iroh-disk')
  ]),
  ...(['noise', 'tls'] as const).flatMap(stack => [
    getterMemory(`ours-disk-${stack}`, 1.15, `raw-${stack}`),
    providerMemory(`ours-disk-${stack}`, 1.15, `raw-${stack}`)
  ]),
  ...BOTH_DISKS.flatMap(ours => [held(ours, 'getter'), held(ours, 'provider')]),
  held('ours-disk-noise', 'added')
]
