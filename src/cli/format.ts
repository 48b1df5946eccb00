/** Numbers and texts as people read them. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']
const STEP = 1024
const MINUTE = 60
const HOUR = 60 * MINUTE

/** `17 B`, `1.0 KiB`, `2.5 GiB` */
export function formatBytes(bytes: number): string {
  if (bytes < STEP) return `${Math.round(bytes)} B`
  let value = bytes / STEP
  let unit = 0
  // What would be printed as 1024.0 is the next unit's 1.0.
  while (value >= STEP - 0.05 && unit < UNITS.length - 1) {
    value /= STEP
    unit++
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

/** `4 s`, `3 min 20 s`, `2 h 5 min` */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < MINUTE) return `${whole} s`
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`
  return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`
}

/** `1 file`, `3 files` */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** Text that may come from strangers, fit for a terminal: without control characters and without reversed writing. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, '?')
}

/** The same for a name that has to stay on its line. */
export function printableName(name: string): string {
  return printable(name).replace(/[\n\t]/g, '?')
}

/** A path as a shell takes it. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

/** Lines of a paragraph made one, so that they can be wrapped anew. Paragraphs are apart by an empty line. */
export function unwrapped(text: string): string {
  return text.replace(/([^\n])\n(?!\n)/g, '$1 ')
}
