/** A benchmark's halves, each a process of its own that reports by messages. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Node keeps compiled code when nobody says where. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')

/** @param execArgv options of Node for the child, such as `--cpu-prof`; by default those of this process */
export function startChild(
  script: string,
  args: readonly string[],
  execArgv: readonly string[] = []
): ChildProcess {
  return fork(script, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [...execArgv],
    // As bin/blobs.js has both. The benchmark's own TypeScript need not be translated in each process then, either.
    env: { UV_THREADPOOL_SIZE: '16', NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env }
  })
}

/** Sends a child something to do, and waits for what it says then. */
export async function ask<T>(child: ChildProcess, message: object): Promise<T> {
  const answer = messageFrom<T>(child)
  child.send(message)
  return await answer
}

/** The next message of a child, which must not exit before it. */
export async function messageFrom<T>(child: ChildProcess): Promise<T> {
  const gone = new AbortController()
  try {
    const [message] = await Promise.race([
      once(child, 'message', { signal: gone.signal }),
      once(child, 'exit', { signal: gone.signal }).then(([code]) => {
        throw new Error(`the process ended early, with code ${code}`)
      })
    ])
    return message
  } finally {
    gone.abort()
  }
}

/** To be called by a child: it ends, and writes its profile if it has one, when its parent lets go of it. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit())
}

/** Lets go of a child and waits until it has ended. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  if (child.connected) child.disconnect()
  await ended
}
