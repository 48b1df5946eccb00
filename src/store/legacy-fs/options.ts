/** How a LegacyFsStore is opened. */

export interface LegacyFsStoreOptions {
  /**
   * `full`: what is complete, what is held of partial blobs (up to the last second) and what is tagged survives a power
   * failure. Adding a small blob waits for the disk, a few milliseconds on most; large blobs are as fast as the disk.
   *
   * `none`: nothing waits for the disk. A killed process loses nothing that `full` would not lose, but after a power failure
   * blobs may be damaged, which is noticed only when they are read, and partial blobs may claim what is not there.
   *
   * @default 'full'
   */
  readonly sync?: 'full' | 'none' | undefined
  /** Told, once each, of what is not as it should be: see {@link LegacyFsStore.notices}. */
  readonly onNotice?: ((text: string) => void) | undefined
}
