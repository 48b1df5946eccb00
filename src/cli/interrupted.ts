/** Being told to stop. */

/** The signals that end the program. */
export type StopSignal = 'SIGINT' | 'SIGTERM'

/** The user, or the system, asked the program to stop. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
  readonly code = 'ERR_INTERRUPTED'
  readonly signal: StopSignal

  constructor(signal: StopSignal) {
    super(signal === 'SIGINT' ? 'stopped by Ctrl-C' : 'stopped by SIGTERM')
    this.signal = signal
  }
}

/** Who read the output has gone: `blobs ls | head`. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError'
  readonly code = 'ERR_OUTPUT_CLOSED'

  constructor() {
    super('nobody reads the output any more')
  }
}

/** How long the program may take to end once it was told to, in ms. */
export const END_TIMEOUT_MS = 8_000

export interface StopOptions {
  /** Told of the first signal. */
  readonly onFirst: (signal: StopSignal) => void
  /** Ends the process: at the second signal, or when the end takes too long. */
  readonly exit: (signal: StopSignal) => void
}

/** A signal that aborts when the program is told to stop. */
export function stopSignal({ onFirst, exit }: StopOptions): AbortController {
  const controller = new AbortController()
  const stop = (signal: StopSignal): void => {
    if (controller.signal.aborted) {
      exit(signal)
      return
    }
    onFirst(signal)
    controller.abort(new InterruptedError(signal))
    // Whatever holds the process up, it ends.
    setTimeout(() => exit(signal), END_TIMEOUT_MS).unref()
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  return controller
}
