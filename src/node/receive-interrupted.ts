/** A transfer ended early, and what has arrived is kept for the next try. `cause` says why it ended. */
export class ReceiveInterruptedError extends Error {
  override readonly name = 'ReceiveInterruptedError'
  readonly code = 'ERR_RECEIVE_INTERRUPTED'
  /** Where it is kept. */
  readonly partFolder: string

  constructor(partFolder: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.partFolder = partFolder
  }
}
