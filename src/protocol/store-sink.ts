/** Receives into a store. */
import type { BlobStore, WaitOptions } from '../store/index.ts'
import { Links } from './links.ts'
import type { ReceiveSink } from './receive.ts'

/** A sink that keeps what is received in `store`, as partial blobs until they are whole. */
export function storeSink(store: BlobStore, options: WaitOptions = {}): ReceiveSink {
  return {
    open: ({ hash, size }) => store.writer(hash, size, options),
    links: root => Links.open(store, root, options)
  }
}
