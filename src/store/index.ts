/**
 * What a store of blobs is. `respond`, `receive`, the libp2p service and the CLI need nothing but this; every store keeps
 * it, held to it by the suite in `compliance/`.
 *
 * A blob is *absent*, *partial* (some chunk groups are there, each proven against the hash) or *complete*. Nothing gets
 * into a store unproven: either the store hashes the bytes itself (`add…`), or they come out of a `Decoder` (`writer`).
 */
import type { Verified } from '../bao/decoder.ts'
import type { EncodeSource } from '../bao/encoder.ts'
import type { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'

/** Whether a blob stands for itself or for the blobs whose hashes it lists. */
export type BlobFormat = 'raw' | 'hash_seq'

export interface HashAndFormat {
  readonly hash: Hash
  readonly format: BlobFormat
}

export interface AbsentStatus {
  readonly state: 'absent'
}

export interface PartialStatus {
  readonly state: 'partial'
  /** Bytes, as claimed by who sent the first group. */
  readonly size: number
  /** Whether the last chunk is among the ranges, which proves the size. */
  readonly isSizeProven: boolean
  /** Chunks that are held: whole groups (the blob's last one may be short), never beyond the blob's end. */
  readonly ranges: ChunkRanges
}

export interface CompleteStatus {
  readonly state: 'complete'
  /** Bytes. */
  readonly size: number
}

export type BlobStatus = AbsentStatus | PartialStatus | CompleteStatus

/** A blob that a store holds at least a part of. */
export interface BlobInfo {
  readonly hash: Hash
  readonly status: PartialStatus | CompleteStatus
  /** When something of it came in last, in ms since 1970. */
  readonly changedAt: number
}

/** A name for a blob. What a tag names is meant to be kept. */
export interface Tag extends HashAndFormat {
  readonly name: string
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
}

export interface OpenOptions extends WaitOptions {
  /** What will be read, so that a store far away can fetch it in few and large pieces. Reading more is allowed. */
  readonly ranges?: ChunkRanges | undefined
}

/**
 * Keeps blobs from being taken by garbage collection, in this process and in others, until it is released, its store is closed
 * or its process has ended. Who collects in another machine or container cannot see whether the process still runs: there it
 * loses its leases when it stands still for more than two minutes. `delete` heeds no leases.
 */
export interface Lease extends AsyncDisposable {
  /**
   * Protects blobs, whether they are there or not. When it resolves, no collection takes them any more: what is there then
   * stays. A hash sequence protects the blobs it links to as far as it is held at this moment: protect it again when more of
   * it has come.
   *
   * @throws LeaseLostError when it was released, or was taken for one of a dead process; StoreError
   */
  protect(...blobs: readonly HashAndFormat[]): Promise<void>
  /** Ends it. May be called again. */
  release(): Promise<void>
}

/** Something that is to be kept, and why. */
export interface Root extends HashAndFormat {
  /** The tag that names it; undefined when a lease protects it. */
  readonly tag?: string | undefined
}

/**
 * One collection of garbage: `libp2p-blobs/node` has `collectGarbage`, which runs it. Several may go on at the same time, in
 * this process or in others.
 */
export interface Sweep extends AsyncDisposable {
  /**
   * All roots, each at least once: what protects a blob from now on is told here or to `delete`. To be called once, first.
   *
   * @throws GarbageUnknownError when there are tags that cannot be read
   */
  roots(options?: WaitOptions): AsyncIterable<Root>
  /**
   * Deletes blobs that nothing protects. One such call at a time. What is being read goes on being readable; what is being written in this process stays.
   *
   * @param hold is told roots that have come since the last call, and returns which of `hashes` they keep, in hex
   * @returns those that are gone now
   * @throws HandleClosedError when it was closed; StoreError; what `hold` throws
   */
  delete(
    hashes: readonly Hash[],
    hold: (fresh: readonly Root[]) => Promise<ReadonlySet<string>>
  ): Promise<readonly Hash[]>
  /** Ends it. May be called again. */
  close(): Promise<void>
}

/** What a store takes. */
export interface Usage {
  /** Bytes of data that are held, of complete and of partial blobs. Outboards come on top: 1/256 of it. */
  readonly bytes: number
  /** Bytes of these that partial blobs hold. */
  readonly partialBytes: number
}

export interface UsageOptions extends WaitOptions {
  /**
   * Whether to look now, where an answer of some seconds ago would come sooner.
   *
   * @default false
   */
  readonly isFresh?: boolean | undefined
}

export interface AddOptions extends WaitOptions {
  /** Protects the blob before it is visible, so that it cannot be taken for garbage until it has a tag. */
  readonly lease?: Lease | undefined
  /** Called with the number of bytes taken so far, at most once per MiB. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

export interface AddResult {
  readonly hash: Hash
  /** Bytes. */
  readonly size: number
}

/**
 * How a blob becomes a file:
 *
 * - `copy`: the file has bytes of its own;
 * - `move`: a copy, or the store's own file where it can be renamed, and the blob is no longer in the store;
 * - `link`: the file and the store's file are one (a hard link). It is made read-only (0444): who changes the one changes the
 *   other, which then is damaged. The empty blob has no file to share, and is copied;
 * - `reflink`: the file system copies when one of the two is written to. The file is independent, and takes no room until then.
 */
export type ExportMode = 'copy' | 'move' | 'link' | 'reflink'

export interface ExportOptions extends WaitOptions {
  /**
   * Every store can `copy` and `move`; the other two need a store of plain files, and a file system that has them.
   *
   * @default 'copy'
   */
  readonly mode?: ExportMode | undefined
  /**
   * Whether to wait until the file's name is on disk, as its bytes are. Who writes many files into a folder does that once.
   *
   * @default true
   */
  readonly isNameSynced?: boolean | undefined
  /** Called with the number of bytes written so far, at most once per MiB. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/**
 * Random access to what was held of a blob when it was opened. What it returns is what is stored, not yet checked: read
 * through `encode` or `readVerified`, which check. Goes on working when the blob is deleted meanwhile.
 */
export interface BlobReader extends EncodeSource, AsyncDisposable {
  readonly hash: Hash
  /**
   * Has what will be read, as was said to `open`, asked for now, before what is read first is known. A store that is not far away need
   * not have it. Resolves when the request has left, and never fails: what goes wrong, the read is told that comes for it.
   */
  askAhead?(): Promise<void>
  /** Gives up what it holds open. May be called again. */
  close(): Promise<void>
}

/** Takes what a `Decoder` has proven of one blob. Several may be open for one blob; they share what they hold. */
export interface BlobWriter extends AsyncDisposable {
  readonly hash: Hash
  /** Bytes, as claimed. */
  readonly size: number

  /**
   * Keeps the whole chunk groups among the leaves, one or more in each piece, and the parents above them. Smaller leaves are
   * dropped: a store keeps groups. When the promise resolves, the buffers are the caller's again and the groups are counted as held.
   *
   * Once a write has failed or was aborted, the writer takes no more: later groups may hang on parents that were lost.
   *
   * @throws StoreFullError, StoreError
   * @throws BlobDeletedError when what this writer has written was deleted or discarded meanwhile
   * @throws SizeMismatchError when another size has been proven meanwhile
   */
  write(verified: Verified, options?: WaitOptions): Promise<void>

  /**
   * Ends writing. A blob that is whole by now becomes complete, in one step; else what was written is kept as partial and
   * survives a restart. May be called again.
   */
  close(): Promise<BlobStatus>
}

export interface TagQuery extends WaitOptions {
  /** Only names that begin so. */
  readonly prefix?: string | undefined
  /** Only this name and those after it. */
  readonly from?: string | undefined
  /** Only names before this one. */
  readonly to?: string | undefined
}

/** Names for blobs. A name is 1 to 1024 bytes of UTF-8, without NUL. What a tag names is not taken by garbage collection. */
export interface TagStore {
  /** Sets or replaces a tag. The blob need not be there. @throws InvalidTagNameError */
  set(name: string, value: HashAndFormat): Promise<void>
  get(name: string): Promise<Tag | undefined>
  /** In order of their names' UTF-8 bytes. */
  list(options?: TagQuery): AsyncIterable<Tag>
  /**
   * Gives a tag another name, replacing one that has it. At no moment is the blob without a tag.
   *
   * @throws TagNotFoundError, InvalidTagNameError
   */
  rename(from: string, to: string): Promise<void>
  /** @returns whether there was one */
  delete(name: string): Promise<boolean>
}

/**
 * All methods throw StoreClosedError after `close`, and the signal's reason when theirs aborts. The empty blob is always
 * complete, in every store.
 */
export interface BlobStore extends AsyncDisposable {
  /** What is held of a blob. */
  status(hash: Hash, options?: WaitOptions): Promise<BlobStatus>

  /**
   * The same of many, in their order, where a store can do that in less time than one by one. What comes or goes meanwhile, or is
   * completed, may be told as it was before, as it is afterwards, or as absent.
   */
  statusOfMany?(hashes: readonly Hash[], options?: WaitOptions): Promise<BlobStatus[]>

  /** A reader of a partial or complete blob; undefined when it is absent. */
  open(hash: Hash, options?: OpenOptions): Promise<BlobReader | undefined>

  /**
   * A writer for a blob that is arriving. What is held of it already stays.
   *
   * @param size bytes, as claimed by the sender
   * @throws SizeMismatchError when the blob's size is proven to be another one. A partial blob of another, unproven size is
   *   discarded, but not before something is written: whoever merely claims a size destroys nothing.
   */
  writer(hash: Hash, size: number, options?: WaitOptions): Promise<BlobWriter>

  /** Adds bytes at hand. They are copied. */
  addBytes(bytes: Uint8Array, options?: AddOptions): Promise<AddResult>

  /** Adds a stream of unknown length, in bounded memory. On failure nothing of it stays. */
  addStream(source: AsyncIterable<Uint8Array>, options?: AddOptions): Promise<AddResult>

  /**
   * Adds a file. It is copied. On failure nothing of it stays.
   *
   * @throws FileChangedError when the file changes while it is read
   */
  addPath(path: string, options?: AddOptions): Promise<AddResult>

  /**
   * Writes a complete blob to a file, checking every byte. The file appears under its name when it is whole and on disk.
   *
   * @throws BlobNotFoundError when the blob is not complete, TargetExistsError when there is something at `target`,
   *   CorruptSourceError when the stored bytes are wrong, UnsupportedExportModeError when the mode is not possible here
   */
  exportPath(hash: Hash, target: string, options?: ExportOptions): Promise<void>

  /**
   * All blobs that are partial or complete, each once, in no order. Blobs that come or go meanwhile may or may not be among
   * them. The empty blob, which takes no room, is not.
   */
  list(options?: WaitOptions): AsyncIterable<BlobInfo>

  /**
   * Forgets a blob, also a partial one. Open readers go on; open writers whose work this was fail.
   *
   * @returns whether there was anything; never for the empty blob
   */
  delete(hash: Hash): Promise<boolean>

  /**
   * To be told when what a reader of the blob has returned was wrong. The store reads the blob through. What it can mend, such
   * as a damaged outboard, it mends. What is wrong of the data counts as held no longer: a complete blob becomes partial, and
   * fetching it again brings what is wrong and no more. A blob of which nothing is proven right is absent from then on.
   *
   * @returns what is held now
   */
  reportDamage(hash: Hash): Promise<BlobStatus>

  /**
   * The blob's status now, and again whenever it has changed, until the signal aborts (which ends it without an error) or
   * the consumer leaves. Changes that follow each other fast are reported as one.
   */
  observe(hash: Hash, options?: WaitOptions): AsyncIterable<BlobStatus>

  readonly tags: TagStore

  /** A lease that protects nothing yet. */
  lease(options?: WaitOptions): Promise<Lease>

  /**
   * Begins a collection of garbage.
   *
   * @throws GarbageUnknownError when the store cannot know what others keep in it
   */
  sweep(options?: WaitOptions): Promise<Sweep>

  /** What the store takes. May be some seconds old where that has to be added up. */
  usage(options?: UsageOptions): Promise<Usage>

  /** Ends writers and gives up all that is held open. May be called again. */
  close(): Promise<void>
}
