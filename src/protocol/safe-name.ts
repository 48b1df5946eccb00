/**
 * Names in a collection come from a stranger. Here they are checked before they become files, by rules that hold on every
 * system, so that what is refused does not depend on where it arrives.
 *
 * Not refused are `< > " | ? *`: Windows makes no files with them, but takes them for nothing else either.
 */
import { eachInTurns } from '../store/each-in-turns.ts'
import { sortInTurns } from '../store/sort-in-turns.ts'
import { MAX_NAME_BYTES, MAX_SEGMENT_BYTES } from './constants.ts'

/** A name cannot be used for a file. */
export class UnsafeNameError extends Error {
  override readonly name = 'UnsafeNameError'
  readonly code = 'ERR_UNSAFE_NAME'
  /** The name, as it came. */
  readonly unsafeName: string
  readonly reason: string

  constructor(unsafeName: string, reason: string) {
    super(`the name ${JSON.stringify(unsafeName)} cannot be used for a file: ${reason}`)
    this.unsafeName = unsafeName
    this.reason = reason
  }
}

const ASCII = /^[ -~]*$/
const CONTROL = /\p{Cc}/u
const SURROGATE = /\p{Surrogate}/u
const DRIVE = /^[a-z]:/i
/** Devices of Windows, which are opened whatever the directory and the extension. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i

/**
 * Splits a name into directories and file.
 *
 * @returns at least one segment, none of which leads out of the directory it is used in
 * @throws UnsafeNameError
 */
export function checkName(name: string): string[] {
  const reason = whyNot(name)
  if (reason !== undefined) {
    throw new UnsafeNameError(name, reason)
  }
  const segments = name.split('/')
  for (const segment of segments) {
    const segmentReason = whyNotSegment(segment)
    if (segmentReason !== undefined) {
      throw new UnsafeNameError(name, segmentReason)
    }
  }
  return segments
}

/**
 * Checks names that are to become files side by side: each by itself, and no two the same file, nor one the directory of
 * another, also where the file system ignores case or the way accents are composed.
 *
 * @returns the segments of each name, in the order given
 * @throws UnsafeNameError naming the first that is unsafe, or one of two that are in each other's way
 */
export function checkNames(names: readonly string[]): string[][] {
  const segments = names.map(checkName)
  const keys = names.map(keyOf).sort()
  for (const [i, key] of keys.entries()) checkNeighbours(key, keys[i + 1], names)
  return segments
}

/**
 * The same for millions of names, without holding up the others. Where they are sorted, as most are that are sorted by their UTF-16
 * units, no more than two of their keys are in memory.
 *
 * @param breathe lets others have their turn when it is time
 * @throws UnsafeNameError
 */
export async function checkNamesInTurns(
  names: readonly string[],
  breathe: () => Promise<void>
): Promise<void> {
  let before: string | undefined
  let isSorted = true
  const look = (name: string): void => {
    checkName(name)
    const key = keyOf(name)
    isSorted &&= before === undefined || before <= key
    if (isSorted && before !== undefined) checkNeighbours(before, key, names)
    before = key
  }
  await eachInTurns(names, look, breathe)
  if (isSorted) return
  const keys: string[] = []
  await eachInTurns(names, name => keys.push(keyOf(name)), breathe)
  const sorted = await sortInTurns(keys, byUnits, breathe)
  const check = ([i, key]: [number, string]): void => checkNeighbours(key, sorted[i + 1], names)
  await eachInTurns(sorted.entries(), check, breathe)
}

/** @throws UnsafeNameError naming one of two that are in each other's way */
function checkNeighbours(key: string, next: string | undefined, names: readonly string[]): void {
  if (next === key) {
    const [name, other] = names.filter(each => keyOf(each) === key) as [string, string]
    const how = other === name ? 'it occurs twice' : `some systems do not tell it from ${quote(name)}`
    throw new UnsafeNameError(other, how)
  }
  if (next?.startsWith(`${key}\0`)) {
    const [name, other] = [key, next].map(wanted => names.find(each => keyOf(each) === wanted)!) as [
      string,
      string
    ]
    throw new UnsafeNameError(name, `it is a file here, and a directory in ${quote(other)}`)
  }
}

/** As `sort` does: in the order of UTF-16 units. */
function byUnits(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function whyNot(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (isLonger(name, MAX_NAME_BYTES)) return `it has more than ${MAX_NAME_BYTES} bytes`
  if (CONTROL.test(name)) return 'it has a control character'
  if (SURROGATE.test(name)) return 'it has half a surrogate pair'
  if (name.startsWith('/')) return 'it is an absolute path'
  if (DRIVE.test(name)) return 'it names a drive'
  if (name.includes('\\')) return 'it has a backslash, which separates directories on Windows'
  if (name.includes(':')) return 'it has a colon, which means a drive or a stream on Windows'
  return undefined
}

function whyNotSegment(segment: string): string | undefined {
  if (segment === '') return 'it has an empty part'
  if (segment === '.' || segment === '..') return `it has the part "${segment}"`
  if (/[. ]$/.test(segment))
    return `the part ${quote(segment)} ends with a dot or a space, which Windows drops`
  if (DEVICE.test(segment)) return `the part ${quote(segment)} is a device on Windows`
  if (isLonger(segment, MAX_SEGMENT_BYTES)) return `it has a part of more than ${MAX_SEGMENT_BYTES} bytes`
  return undefined
}

/**
 * Equal for names which some file system takes for the same. Since "/" is replaced by what sorts before all else, whatever is below a
 * name follows right behind it.
 */
function keyOf(name: string): string {
  // Composed or not, ASCII is the same.
  if (ASCII.test(name)) return name.toUpperCase().replaceAll('/', '\0')
  return name.normalize('NFD').toLowerCase().toUpperCase().normalize('NFC').replaceAll('/', '\0')
}

function quote(name: string): string {
  return JSON.stringify(name)
}

/** Whether a text has more than `max` bytes of UTF-8, of which a UTF-16 unit takes three at most. */
function isLonger(text: string, max: number): boolean {
  return text.length * 3 > max && new TextEncoder().encode(text).length > max
}
