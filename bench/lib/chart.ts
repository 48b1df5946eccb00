/** Line charts as SVG pictures, for light and for dark pages. */

export interface Axis {
  readonly label: string
  /** Equal steps for equal factors, or for equal differences. */
  readonly scale: 'log' | 'linear'
  /** Where a line and a text are. The first and the last are the ends of the axis. Ascending; above 0 with `log`. */
  readonly ticks: readonly number[]
  /** The text at a tick. */
  readonly format: (value: number) => string
}

export interface Series {
  readonly name: string
  /** In the order of x. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Chart {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  /** At most as many as there are colours. */
  readonly series: readonly Series[]
}

const WIDTH = 760
const HEIGHT = 420
const LEFT = 86
const RIGHT = 28
const TOP = 78
const BOTTOM = 62

const LIGHT = ['#1f6feb', '#d1570a', '#1a7f4b', '#8250df', '#b3245e', '#5c6670']
const DARK = ['#79b8ff', '#ffa657', '#56d38a', '#c8a6ff', '#ff8fb8', '#aab4be']
/** Lines differ in more than their colour. */
const DASHES = ['', '7 4', '2 4', '10 3 2 3', '', '7 4']
export const MOST_SERIES = LIGHT.length

function style(): string {
  const colours = (list: readonly string[]) =>
    list.map((colour, i) => `.s${i}{stroke:${colour}}.f${i}{fill:${colour}}`).join('')
  const page = (back: string, ink: string, grid: string) =>
    `.back{fill:${back}}text{fill:${ink}}.grid{stroke:${grid}}.axis{stroke:${ink}}`
  return `text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}.title{font-size:16px;font-weight:600}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.grid{stroke-width:1}.axis{stroke-width:1.2}
${page('#ffffff', '#1f2328', '#e3e7eb')}${colours(LIGHT)}
@media(prefers-color-scheme:dark){${page('#0d1117', '#e6edf3', '#2b323b')}${colours(DARK)}}`
}

/** A number between the ends of an axis, as a share of its length. */
function share({ scale, ticks }: Axis, value: number): number {
  const measure = scale === 'log' ? Math.log : (number: number) => number
  const [least, most] = [measure(ticks[0]!), measure(ticks.at(-1)!)]
  return (measure(value) - least) / (most - least)
}

/** @throws RangeError when there are more series than colours */
export function drawChart({ title, x, y, series }: Chart): string {
  if (series.length > MOST_SERIES) throw new RangeError(`${series.length} lines are more than ${MOST_SERIES}`)
  const atX = (value: number): string => (LEFT + share(x, value) * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const atY = (value: number): string =>
    (HEIGHT - BOTTOM - share(y, value) * (HEIGHT - TOP - BOTTOM)).toFixed(1)
  const [left, right, top, bottom] = [LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM]
  const vertical = x.ticks.map(
    tick =>
      `<path class="grid" d="M${atX(tick)} ${top}V${bottom}"/><text x="${atX(tick)}" y="${bottom + 20}" text-anchor="middle">${escaped(x.format(tick))}</text>`
  )
  const horizontal = y.ticks.map(
    tick =>
      `<path class="grid" d="M${left} ${atY(tick)}H${right}"/><text x="${left - 8}" y="${Number(atY(tick)) + 4}" text-anchor="end">${escaped(y.format(tick))}</text>`
  )
  const lines = series.map(({ points }, i) => {
    const dash = DASHES[i] === '' ? '' : ` stroke-dasharray="${DASHES[i]}"`
    const dots = points.map(([px, py]) => `<circle class="f${i}" cx="${atX(px)}" cy="${atY(py)}" r="3"/>`)
    const path = points.map(([px, py]) => `${atX(px)} ${atY(py)}`).join('L')
    return `<path class="line s${i}"${dash} d="M${path}"/>${dots.join('')}`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escaped(title)}">
<style>${style()}</style>
<rect class="back" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
<text class="title" x="${left}" y="30">${escaped(title)}</text>
${legend(series)}
${[...vertical, ...horizontal].join('\n')}
<path class="axis" fill="none" d="M${left} ${top}V${bottom}H${right}"/>
<text x="${(left + right) / 2}" y="${HEIGHT - 16}" text-anchor="middle">${escaped(x.label)}</text>
<text transform="translate(20 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>
${lines.join('\n')}
</svg>
`
}

/** About as wide as a letter is. */
const LETTER = 7

function legend(series: readonly Series[]): string {
  let at = LEFT
  return series
    .map(({ name }, i) => {
      const dash = DASHES[i] === '' ? '' : ` stroke-dasharray="${DASHES[i]}"`
      const entry = `<path class="line s${i}"${dash} d="M${at} 53h26"/><text x="${at + 33}" y="57">${escaped(name)}</text>`
      at += 33 + name.length * LETTER + 18
      return entry
    })
    .join('\n')
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** Powers of ten that enclose the values. */
export function decades(values: readonly number[]): number[] {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

/** Round steps from 0 that enclose the values. */
export function steps(values: readonly number[]): number[] {
  const most = Math.max(...values)
  const raw = most / 5
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(candidate => candidate >= raw)!
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
}
