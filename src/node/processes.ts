/** Other processes of this machine. */
import { errorCode } from '../store/fs-errors.ts'

/** Whether a process is running. Another one may have got its number since. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, but somebody else's.
    return errorCode(error) === 'EPERM'
  }
}
