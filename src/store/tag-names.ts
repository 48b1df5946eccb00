/** What a tag may be called, and in which order names come. */
import { InvalidTagNameError } from './errors.ts'
import type { TagQuery } from './index.ts'

/** Longest name of a tag, in bytes of UTF-8. */
export const MAX_TAG_NAME_BYTES = 1024

/** @throws InvalidTagNameError when `name` is not 1 to 1024 bytes of UTF-8 without NUL */
export function checkTagName(name: string): void {
  const wrong = whatIsWrong(name)
  if (wrong !== undefined) throw new InvalidTagNameError(`a tag cannot be named so: ${wrong}`)
}

function whatIsWrong(name: string): string | undefined {
  if (name.length === 0) return 'the name is empty'
  if (name.includes('\0')) return 'the name contains a NUL character'
  if (!name.isWellFormed()) return 'the name contains half a surrogate pair, which UTF-8 cannot express'
  const bytes = new TextEncoder().encode(name).length
  if (bytes > MAX_TAG_NAME_BYTES)
    return `the name has ${bytes} bytes, at most ${MAX_TAG_NAME_BYTES} are allowed`
  return undefined
}

/** Orders names by their UTF-8 bytes, which is the order of their code points; JS compares UTF-16 units. */
export function compareTagNames(a: string, b: string): number {
  const common = Math.min(a.length, b.length)
  for (let i = 0; i < common; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Whether a name is among those that are asked for. */
export function tagFilter({ prefix = '', from, to }: TagQuery): (name: string) => boolean {
  return name =>
    name.startsWith(prefix) &&
    (from === undefined || compareTagNames(name, from) >= 0) &&
    (to === undefined || compareTagNames(name, to) < 0)
}

/** Surrogates stand for code points above all that one unit can express. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}
