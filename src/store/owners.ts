/**
 * Names for open stores, by which others that use the same database can tell whether one is still open. They may be in another
 * process, or in this one.
 */
import { randomBytes } from 'node:crypto'
import { isRunning, machine } from './processes.ts'

/** Milliseconds after which a store says again that its leases are in use. */
export const LEASE_RENEW_MS = 10_000

/** The leases of a store that has not said so for this many milliseconds have ended, even if nothing else tells so. */
export const LEASE_PATIENCE_MS = 120_000

const NAME = /^([0-9a-f]{8})-(\d+)-[0-9a-f]{16}$/

/** Those of this process that are open. */
const ours = new Set<string>()

/** A name for a store that is being opened. */
export function newOwner(): string {
  const name = `${machine()}-${process.pid}-${randomBytes(8).toString('hex')}`
  ours.add(name)
  return name
}

/** To be called when the store has been closed. */
export function endOwner(name: string): void {
  ours.delete(name)
}

/** Whether a store may still be open. Of one in another container, whose processes cannot be seen, nothing is known. */
export function mayBeOpen(name: string): boolean {
  const [, where, pid] = NAME.exec(name) ?? []
  if (where === undefined) return false
  if (where !== machine()) return true
  // In containers, processes often have the same number as the one before them.
  return Number(pid) === process.pid ? ours.has(name) : isRunning(Number(pid))
}
