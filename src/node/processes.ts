/** Other processes of this machine. */
import { readFileSync } from 'node:fs'
import { errorCode } from '../store/fs-errors.ts'

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

/** Whether a process has ended and only waits for its parent to notice, which may take any time. Linux tells. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch (error) {
    if (errorCode(error) === undefined) throw error
    return false
  }
}
