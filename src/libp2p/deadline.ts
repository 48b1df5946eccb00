/**
 * Timers for what hardly ever takes so long: each request has half a dozen of them, and to start and to stop one of the system's costs
 * more than most of what they watch. So those of the same length share one.
 */

interface Waiting {
  /** By the clock of `performance`. */
  readonly dueAt: number
  readonly onDue: () => void
}

/** By how long they wait, in ms; so each is in the order in which they are due. */
const lines = new Map<number, Set<Waiting>>()

/**
 * Has `onDue` called in `ms`. Keeps no process alive: what is watched has a connection, which does.
 *
 * @returns to be called when it is not to be called any more
 */
export function deadline(ms: number, onDue: () => void): () => void {
  const line = lines.get(ms) ?? newLine(ms)
  const waiting = { dueAt: performance.now() + ms, onDue }
  line.add(waiting)
  return () => {
    line.delete(waiting)
  }
}

function newLine(ms: number): Set<Waiting> {
  const line = new Set<Waiting>()
  lines.set(ms, line)
  later(() => look(ms, line), ms)
  return line
}

function look(ms: number, line: Set<Waiting>): void {
  try {
    for (const waiting of line) {
      if (waiting.dueAt > performance.now()) return
      line.delete(waiting)
      waiting.onDue()
    }
  } finally {
    const [next] = line
    if (next === undefined) lines.delete(ms)
    else later(() => look(ms, line), Math.max(0, Math.ceil(next.dueAt - performance.now())))
  }
}

function later(run: () => void, ms: number): void {
  const timer: number | { unref?: () => void } = setTimeout(run, ms)
  // In a browser it is a number.
  if (typeof timer === 'object') timer.unref?.()
}
