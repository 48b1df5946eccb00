/** Other processes, and whether their numbers can be compared with ours. */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { errorCode } from './fs-errors.ts'

/** Whether a process is running. Another one may have got its number since. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    // It is there, but somebody else's.
    return errorCode(error) === 'EPERM'
  }
}

/**
 * When a process was started, in ticks of the system's clock since it came up: with its number, that names it for good, whatever
 * becomes of the time of day. Undefined when it is not there, or nobody tells (Linux does).
 */
export function startOf(pid: number): string | undefined {
  return statOf(pid)?.[19]
}

/** Whether a process has ended and only waits for its parent to notice, which may take any time. Linux tells. */
function isZombie(pid: number): boolean {
  return /^[ZX]/.test(statOf(pid)?.[0] ?? '')
}

/** What Linux tells of a process, from its state on: what comes before may contain blanks. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return undefined
  }
}

let cachedBootId: string | undefined

/** Another one each time the system is started. Undefined where nobody tells (Linux does). */
export function bootId(): string | undefined {
  try {
    cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch (error) {
    if (errorCode(error) === undefined) throw error
  }
  return cachedBootId
}

let cachedMachine: string | undefined

/** Names the set of processes whose pids can be compared with ours: the machine and, on Linux, the pid namespace. */
export function machine(): string {
  cachedMachine ??= createHash('sha256').update(`${hostname()} ${pidNamespace()}`).digest('hex').slice(0, 8)
  return cachedMachine
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux: pids are the machine's.
    return ''
  }
}
