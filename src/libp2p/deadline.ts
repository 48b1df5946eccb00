/**
 * Timers for what hardly ever takes so long: each request has half a dozen of them, and to start and to stop one of the system's costs
 * more than most of what they watch. So those of the same length share one.
 *
 * An application's tests may put other clocks and timers in place of the system's, and drop what these were to do. Then what is waited for
 * is told of late, but not never: a timer that is long overdue, or further away than it can be, is started anew.
 */

interface Waiting {
  /** By the clock of `performance`. */
  readonly dueAt: number
  readonly onDue: () => void
}

/** Those that wait for the same time, in the order in which they are due. */
interface Line {
  /** In ms. */
  readonly length: number
  readonly waiting: Set<Waiting>
  /** When the line is looked at, by the clock of `performance`. */
  looksAt: number
  /** How many timers have been started: the last one counts. */
  timers: number
}

/** A timer may be late for so many ms: the event loop may have been held up. */
const LATE_MS = 1000

/** By their length. */
const lines = new Map<number, Line>()

/**
 * Has `onDue` called in `ms`. Keeps no process alive: what is watched has a connection, which does.
 *
 * @returns to be called when it is not to be called any more
 */
export function deadline(ms: number, onDue: () => void): () => void {
  const now = performance.now()
  const line = lines.get(ms) ?? newLine(ms)
  const waiting = { dueAt: now + ms, onDue }
  line.waiting.add(waiting)
  if (now - line.looksAt > LATE_MS || isOfOtherClock(line, line.looksAt - now)) lookIn(line, 0)
  return () => {
    line.waiting.delete(waiting)
  }
}

function newLine(length: number): Line {
  const line: Line = { length, waiting: new Set(), looksAt: performance.now(), timers: 0 }
  lines.set(length, line)
  lookIn(line, length)
  return line
}

/** Whether what is so many ms away was determined by a clock that went otherwise. Sums are rounded. */
function isOfOtherClock({ length }: Line, left: number): boolean {
  return left > length + 1
}

function look(line: Line): void {
  const { length, waiting } = line
  try {
    for (const first of waiting) {
      const left = first.dueAt - performance.now()
      if (left > 0 && !isOfOtherClock(line, left)) return
      waiting.delete(first)
      first.onDue()
    }
  } finally {
    const [next] = waiting
    if (next !== undefined) lookIn(line, Math.max(0, Math.ceil(next.dueAt - performance.now())))
    else if (lines.get(length) === line) lines.delete(length)
  }
}

function lookIn(line: Line, ms: number): void {
  line.looksAt = performance.now() + ms
  const number = ++line.timers
  const timer: number | { unref?: () => void } = setTimeout(() => {
    if (line.timers === number) look(line)
  }, ms)
  // In a browser it is a number.
  if (typeof timer === 'object') timer.unref?.()
}
