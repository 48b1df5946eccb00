/**
 * Names for open stores, by which others that use the same database or folder can tell whether one is still open. They may be in
 * another process, or in this one.
 *
 * A name tells where the store is: machine, process, when that was started, thread. So a process that has got the number of a
 * dead one is not taken for it, and one that can be seen to run is not taken for dead, however long it stood still, and
 * whatever has become of the time of day.
 */
import { randomBytes } from 'node:crypto'
import { threadId } from 'node:worker_threads'
import { isRunning, machine, startOf } from './processes.ts'

/** Milliseconds after which a store says again that its leases are in use. */
export const LEASE_RENEW_MS = 10_000

/**
 * The leases of a store that has not said so for this many milliseconds have ended, where nobody can see whether its process
 * runs: on another machine, in another container, or on systems other than Linux.
 */
export const LEASE_PATIENCE_MS = 120_000

const NAME = /^([0-9a-f]{8})-(\d+)\.(\d+)\.(\d+)-[0-9a-f]{16}$/

/** Stands for a start that is not known. */
const NO_START = '0'

/** What can be seen of an open store. */
export type Fate = 'open' | 'ended' | 'unknown'

/** Those of this thread that are open. */
const ours = new Set<string>()

let cachedStart: string | undefined

/** A name for a store that is being opened. */
export function newOwner(): string {
  const name = `${machine()}-${process.pid}.${ourStart()}.${threadId}-${randomBytes(8).toString('hex')}`
  ours.add(name)
  return name
}

/** To be called when the store has been closed. */
export function endOwner(name: string): void {
  ours.delete(name)
}

/** Whether it is the name of a store. */
export function isOwner(name: string): boolean {
  return NAME.test(name)
}

export function fateOf(name: string): Fate {
  const [, where, pid, start, thread] = NAME.exec(name) ?? []
  if (where === undefined) return 'ended'
  // Of one in another container, whose processes cannot be seen, nothing is known.
  if (where !== machine()) return 'unknown'
  if (Number(pid) === process.pid) {
    // In containers, processes often have the same number as the one before them.
    if (start !== ourStart()) return 'ended'
    if (Number(thread) === threadId) return ours.has(name) ? 'open' : 'ended'
    return 'unknown'
  }
  if (!isRunning(Number(pid))) return 'ended'
  const startNow = startOf(Number(pid))
  if (start === NO_START || startNow === undefined) return 'unknown'
  if (startNow !== start) return 'ended'
  // A thread may have been ended without its process.
  return thread === '0' ? 'open' : 'unknown'
}

/** Whether a store may still be open. */
export function mayBeOpen(name: string): boolean {
  return fateOf(name) !== 'ended'
}

function ourStart(): string {
  cachedStart ??= startOf(process.pid) ?? NO_START
  return cachedStart
}
