/**
 * A node that is ready to use, and what its command line is made of: homes, files and folders in and out of a store.
 * `libp2p-blobs/node`.
 *
 * @packageDocumentation
 *
 * @example
 *
 * ```ts
 * import { createNode, importPath } from 'libp2p-blobs/node'
 *
 * const node = await createNode({ home: './my-node', listen: ['/ip4/127.0.0.1/tcp/0'] })
 * const { hash, format } = await importPath(node.store, './photos')
 * console.log(node.ticket(hash, format))
 * await node.stop()
 * ```
 */
export { collectGarbageEarly } from './collect-garbage-early.ts'
export { NoSuchPathError, planPath } from './collection-path.ts'
export { type Config, type ConfigInput, InvalidConfigError, parseConfig } from './config.ts'
export {
  type CopyOptions,
  type CopyProblem,
  type CopyProgress,
  type CopyReport,
  copyStore
} from './copy-store.ts'
export { type BlobsNode, createNode, type NodeOptions, STOP_TIMEOUT_MS } from './create-node.ts'
export { type ExportPathOptions, type ExportProgress, exportPath } from './export-path.ts'
export { type ExportPlan, type PlannedFile, planExport } from './export-plan.ts'
export { type FetchedNamed, type FetchNamedOptions, fetchNamed } from './fetch-named.ts'
export {
  type CollectOptions,
  collectGarbage,
  DEFAULT_PARTIAL_AGE_MS,
  type GarbageReport,
  IncompleteSequenceError
} from './gc/collect.ts'
export { hashWide } from './hash-wide.ts'
export { createHome, isHome, NoHomeError, requireHome } from './home.ts'
export { HOME_VARIABLE, homePath, UnexpectedUrlError } from './home-path.ts'
export { IdentityError, loadOrCreateIdentity } from './identity.ts'
export { type Imported, type ImportOptions, type ImportProgress, importPath } from './import-path.ts'
export { createHomeWith, HomeExistsError } from './init-store.ts'
export { loadConfig } from './load-config.ts'
export { type MoveOptions, moveOut } from './move-out.ts'
export { NoObjectStoreError, openObjectStore, openStore } from './open-store.ts'
export { optimizeLate } from './optimize-late.ts'
export {
  InvalidPeerError,
  NoProviderError,
  NotACollectionError,
  parsePeer,
  parseWanted,
  parseWantedPath,
  type Wanted,
  type WantedPath
} from './provider-list.ts'
export { type Received, type ReceiveOptions, type ReceiveWanted, receiveTo } from './receive.ts'
export { ReceiveInterruptedError } from './receive-interrupted.ts'
export { DEFAULT_MAX_BLOB_SIZE, type StoreConfig, type StoreInput } from './store-config.ts'
export { OtherStoreError } from './store-folder.ts'
export { type OpenSpec, type OpenSpecOptions, openSpec } from './store-spec.ts'
export { pushedTagName } from './tag-pushed.ts'
export { ticketOf } from './ticket-of.ts'
export { NothingToShareError } from './walk-folder.ts'
