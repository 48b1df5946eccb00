/** A glance at the file of a blob, which tells what a list says of it. */
import { lstatSync } from 'node:fs'

export interface Glance {
  /** Bytes. */
  readonly size: number
  /** In ms since 1970. */
  readonly changedAt: number
}

/** @returns undefined when there is no file, or none that can be a blob with bytes */
export function glance(path: string): Glance | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile() || stats.size === 0) return undefined
  return { size: stats.size, changedAt: stats.mtimeMs }
}
