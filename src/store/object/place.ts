/** Where the data of a blob is while it is arriving: in memory, or in a body of its own (`fragment-name.ts`). */
import type { Fragment } from './fragment-name.ts'
import type { LivePart } from './live-part.ts'

export interface Place {
  /** Id of the body that has all data; undefined when each fragment has its own. */
  readonly body: string | undefined

  /**
   * Keeps groups that follow each other in one part, which is pinned. The buffers are the caller's again when it has ended.
   *
   * @returns false when nothing is to be kept any more
   */
  keep(
    part: LivePart,
    first: number,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined
  ): Promise<boolean>

  /** Fills `target` with what is kept of groups of one part. @returns whether it could */
  read(part: LivePart, offset: number, target: Uint8Array): Promise<boolean>

  /** Makes a fragment of what is kept of a part, which is being saved. @param key the fragment's. @param nodes in pieces */
  put(part: LivePart, fragment: Fragment, key: string, nodes: readonly Uint8Array[]): Promise<void>

  /** Brings here what other fragments of a part, which is pinned or being saved, have. */
  gather(part: LivePart, fragments: readonly Fragment[]): Promise<void>

  /** To be told of a part that is saved as one fragment. */
  onWhole(part: number): void

  /** To be told that what was saved of the blob has turned out to be gone, or wrong. */
  onLost(): void

  /** Gives up what is kept of a part. */
  drop(part: LivePart): void

  /** Makes the data's object, when all parts are saved and the outboard is there. @throws ObjectNotFoundError when something is gone */
  complete(signal: AbortSignal | undefined): Promise<void>

  /** Waits until nothing is under way behind the arrival's back. */
  settle(): Promise<void>

  /** Gives up what is held open. May be called again. */
  close(): Promise<void>
}

/** What a place asks of the arrival that it belongs to. */
export interface PlaceOwner {
  /** Aborts when nothing more is to be kept. */
  readonly over: AbortSignal
  /** Whether there is nothing more to be kept because the blob is complete. */
  isComplete(): boolean
  /** @throws why writes fail */
  check(): void
  /** Saves what is not saved of a part. Never rejects. */
  save(part: LivePart): Promise<void>
}
