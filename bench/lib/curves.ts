/** What the curves are made of, and how they are drawn. */
import { type Axis, type Chart, decades, type Series, steps } from './chart.ts'

/** One of the contestants, at one size, number of blobs, or number of peers. */
export interface CurvePoint {
  readonly contestant: string
  /** Bytes of a blob, blobs of a collection, or getters. */
  readonly x: number
  readonly addSeconds?: number
  readonly fetchSeconds?: number
  readonly mbPerSecond?: number
  readonly getterRssMib?: number
  readonly providerRssMib: number
}

export const CURVES = ['size', 'count', 'peers'] as const
export type CurveName = (typeof CURVES)[number]

export interface Curve {
  /** On what it was measured. */
  readonly machine: string
  readonly points: readonly CurvePoint[]
}

export type Curves = Partial<Record<CurveName, Curve>>

type PickNumber = (point: CurvePoint) => number | undefined

const KIB = 1024

const X_AXES: Readonly<
  Record<CurveName, { readonly label: string; readonly factor: number; format(value: number): string }>
> = {
  size: { label: 'size of the blob', factor: 16, format: formatSize },
  count: {
    label: 'blobs of 4 KiB in one collection',
    factor: 10,
    format: value => value.toLocaleString('en')
  },
  peers: { label: 'getters at the same time', factor: 2, format: String }
}

/** The pictures of a curve, by file name. */
export function chartsOf(name: CurveName, { points }: Curve): Readonly<Record<string, Chart>> {
  const x = xAxis(name, points)
  const memory: Chart = {
    title: {
      size: 'Memory against size',
      count: 'Memory against number of blobs',
      peers: "The provider's memory against number of peers"
    }[name],
    x,
    ...linear('peak resident memory, MiB', [
      ...series(points, 'getter', ({ getterRssMib }) => getterRssMib),
      ...series(points, 'provider', ({ providerRssMib }) => providerRssMib)
    ])
  }
  if (name === 'peers') {
    const speed = linear(
      'all getters together, MB/s',
      series(points, '', ({ mbPerSecond }) => mbPerSecond)
    )
    return { 'peers-speed': { title: 'Speed against number of peers', x, ...speed }, 'peers-memory': memory }
  }
  const times = [
    ...series(points, 'add', ({ addSeconds }) => addSeconds),
    ...series(points, 'fetch', ({ fetchSeconds }) => fetchSeconds)
  ]
  const title = name === 'size' ? 'Time against size' : 'Time against number of blobs'
  const y: Axis = { label: 'time', scale: 'log', ticks: decades(valuesOf(times)), format: formatSeconds }
  return { [`${name}-time`]: { title, x, y, series: times }, [`${name}-memory`]: memory }
}

function xAxis(name: CurveName, points: readonly CurvePoint[]): Axis {
  const { label, factor, format } = X_AXES[name]
  const values = points.map(({ x }) => x)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const ticks = [least]
  while (ticks.at(-1)! * factor <= most) ticks.push(ticks.at(-1)! * factor)
  if (least === most) return { label, scale: 'log', ticks: [least, least * factor], format }
  // One that is too near to the end would be written over it.
  if (ticks.at(-1)! < most)
    ticks.splice(ticks.at(-1)! * Math.sqrt(factor) > most ? -1 : ticks.length, 1, most)
  return { label, scale: 'log', ticks, format }
}

function linear(label: string, lines: readonly Series[]): Pick<Chart, 'y' | 'series'> {
  return {
    y: { label, scale: 'linear', ticks: steps(valuesOf(lines)), format: value => String(Math.round(value)) },
    series: lines
  }
}

/** A line for each contestant that has such numbers. */
function series(points: readonly CurvePoint[], what: string, pick: PickNumber): Series[] {
  const contestants = [...new Set(points.map(({ contestant }) => contestant))]
  return contestants.flatMap(contestant => {
    const own = points.filter(point => point.contestant === contestant).sort((a, b) => a.x - b.x)
    const line = own.flatMap(point => {
      const y = pick(point)
      return y === undefined ? [] : [[point.x, y] as const]
    })
    const stack = contestant.split('-').at(-1)
    return line.length === 0 ? [] : [{ name: what === '' ? `${stack}` : `${what}, ${stack}`, points: line }]
  })
}

function valuesOf(lines: readonly Series[]): number[] {
  return lines.flatMap(({ points }) => points.map(([, y]) => y))
}

function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / Math.log2(KIB)))
  return `${Math.round(bytes / KIB ** power)} ${units[power]}`
}

function formatSeconds(seconds: number): string {
  if (seconds >= 1) return `${Math.round(seconds)} s`
  return seconds >= 1e-3 ? `${Math.round(seconds * 1e3)} ms` : `${Math.round(seconds * 1e6)} µs`
}
