/** Metadata in SQLite and objects in storage as a BlobStore. */
import { resolve } from 'node:path'
import { CorruptSourceError } from '../../bao/errors.ts'
import { isWhole } from '../../bao/geometry.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { Breather } from '../breather.ts'
import { BlobDamagedError, BlobNotFoundError, GarbageUnknownError } from '../errors.ts'
import { exportFile, requireCopying } from '../export-file.ts'
import type {
  AddOptions,
  AddResult,
  BlobInfo,
  BlobReader,
  BlobStatus,
  BlobStore,
  BlobWriter,
  ExportOptions,
  Lease,
  OpenOptions,
  Sweep,
  TagStore,
  Usage,
  UsageOptions,
  WaitOptions
} from '../index.ts'
import { Lifetime } from '../lifetime.ts'
import { Limiter } from '../limiter.ts'
import { KeyedMutex } from '../mutex.ts'
import { ABSENT, EMPTY_BLOB, heldBytes, partialStatus } from '../status.ts'
import { abortable } from '../waiting.ts'
import { POLL_INTERVAL_MS, StatusWatchers } from '../watchers.ts'
import { Arrivals } from './arrivals.ts'
import { Backoff } from './backoff.ts'
import type { ObjectContext } from './context.ts'
import { Deletions } from './deletions.ts'
import { EmptyReader } from './empty-reader.ts'
import { BlobTooLargeError } from './errors.ts'
import { deleteAll } from './finish.ts'
import { Ingest, SMALL_BYTES } from './ingest.ts'
import { KnownFragments } from './known-fragments.ts'
import {
  BLOBS_PREFIX,
  blobPrefix,
  dataKey,
  hasOutboard,
  isTagKey,
  outboardKey,
  parseBlobKey,
  TAGS_PREFIX
} from './layout.ts'
import { Leases } from './leases.ts'
import { Lookup } from './lookup.ts'
import { Mending } from './mending.ts'
import { type BlobRow, IN_MEMORY, Metadata } from './metadata/index.ts'
import { openStorage } from './open-storage.ts'
import type {
  LocalObjectStoreOptions,
  ObjectStoreOptions,
  OpenObjectStoreOptions,
  StorageSpec
} from './options.ts'
import { PartMemory } from './part-memory.ts'
import { PartialReader } from './partial-reader.ts'
import { LocalReader, ObjectReader, OutboardCache, ReadBudget } from './reading/index.ts'
import type { RecoveryOptions, RecoveryReport } from './recover/index.ts'
import type { ObjectStorage } from './storage/index.ts'
import { ObjectSweep } from './sweep.ts'
import { ObjectTags } from './tags.ts'
import { Tidying } from './tidying.ts'
import { ObjectWriter } from './writer.ts'

/** Blobs that are added at the same time: small ones, and those that go up in parts. */
const MOST_SMALL = 32
const MOST_LARGE = 4

/** Streams that are begun at the same time: each has up to 1 MiB in memory until it is known to be a large one. */
const MOST_STREAMS = 32

/** Notices that are kept, and told. */
const MOST_NOTICES = 1000

/** Rows that are read at a time. */
const PAGE = 100

/**
 * Whether the index knows of all that is in the storage: `whole` or `unknown`. It does not when it was made for a storage that
 * had blobs already; `recoverFromStorage` mends that. When nothing is noted yet, one has to look.
 */
const INDEX_FACT = 'index'

/** The name of the storage that the database is the index of. */
const STORAGE_FACT = 'storage'

/** Under which only one recovery runs at a time. */
const RECOVERY = 'recovery'

export class ObjectStore implements BlobStore {
  readonly tags: TagStore
  readonly #context: ObjectContext
  readonly #options: ObjectStoreOptions
  readonly #lifetime = new Lifetime()
  readonly #watchers = new StatusWatchers()
  readonly #small = new Limiter(MOST_SMALL)
  readonly #large = new Limiter(MOST_LARGE)
  readonly #streams = new Limiter(MOST_STREAMS)
  readonly #known: KnownFragments
  readonly #lookup: Lookup
  readonly #arrivals: Arrivals
  readonly #deletions: Deletions
  readonly #leases: Leases
  readonly #ingest: Ingest
  readonly #readers = new Set<BlobReader>()
  readonly #writers = new Set<ObjectWriter>()
  readonly #notices = new Set<string>()
  /** Deletions that have waited for the last reader. */
  readonly #deleting = new Set<Promise<void>>()
  /** Blobs that could not be put together. */
  readonly #unfinished = new Backoff()
  readonly #mending: Mending
  readonly #tidying: Tidying

  private constructor(metadata: Metadata, storage: ObjectStorage, options: ObjectStoreOptions) {
    this.#options = options
    const { maxBlobSize } = options
    if (maxBlobSize !== undefined && !(maxBlobSize >= 0)) {
      throw new RangeError(`maxBlobSize is a number of bytes, not ${maxBlobSize}`)
    }
    this.#context = {
      storage,
      metadata,
      memory: new PartMemory(),
      cache: new OutboardCache(storage),
      budget: new ReadBudget(),
      mutex: new KeyedMutex(),
      leaveAsIs: options.leaveAsIs,
      notice: message => this.#notice(message),
      changed: hash => {
        this.#lookup.forget(hash)
        this.#watchers.notify(hash)
      }
    }
    this.#known = new KnownFragments(metadata)
    this.#lookup = new Lookup(this.#context)
    this.#arrivals = new Arrivals(this.#context, this.#lookup)
    this.#deletions = new Deletions(this.#context, async hash => {
      await this.#lookup.relook(hash)
    })
    this.#leases = new Leases(this.#context, this.#lifetime)
    this.#mending = new Mending(this.#context, this.#arrivals, this.#lifetime)
    this.#tidying = new Tidying(this.#context, this.#deletions, this.#leases, this.#lifetime, error =>
      this.#noticeFailure(`tidy up ${storage.name}`, error)
    )
    this.#ingest = new Ingest(this.#context, this.#arrivals, this.#maxBlobSize, (hash, signal) =>
      this.#deletions.whenDone(hash, signal)
    )
    this.tags = new ObjectTags(this.#context, this.#lifetime, () => this.#mayBeElsewhere)
  }

  /**
   * Opens a store: its database in a file, its blobs in a storage.
   *
   * @throws StorageError and its kinds when the storage cannot be used, MetadataError and StoreError when the database cannot
   */
  static async open({ dbPath, storage, ...options }: OpenObjectStoreOptions): Promise<ObjectStore> {
    const opened = await openStorage(storage, text => options.onNotice?.(text))
    return await ObjectStore.#create(dbPath, opened, options)
  }

  /** With the database in memory: what is in the storage is found by `recoverFromStorage`, or with `readThrough`. */
  static async inMemory(
    storage: ObjectStorage | StorageSpec,
    options: ObjectStoreOptions = {}
  ): Promise<ObjectStore> {
    const opened = await openStorage(storage, text => options.onNotice?.(text))
    return await ObjectStore.#create(IN_MEMORY, opened, options)
  }

  /** In a folder: the blobs in `folder`, the database beside it in `folder.db`, unless told otherwise. */
  static async local(folder: string, options: LocalObjectStoreOptions = {}): Promise<ObjectStore> {
    const { dbPath = `${resolve(folder)}.db`, sync, ...rest } = options
    const storage: StorageSpec = { type: 'filesystem', path: folder, sync }
    return await ObjectStore.open({ dbPath, storage, ...rest })
  }

  /** All in memory. */
  static async ephemeral(options: ObjectStoreOptions = {}): Promise<ObjectStore> {
    return await ObjectStore.inMemory({ type: 'memory' }, options)
  }

  /** Both are closed with it, also when this fails. */
  static async #create(
    dbPath: string,
    storage: ObjectStorage,
    options: ObjectStoreOptions
  ): Promise<ObjectStore> {
    let metadata: Metadata | undefined
    try {
      metadata = Metadata.open(dbPath)
      const store = new ObjectStore(metadata, storage, options)
      await store.#begin()
      return store
    } catch (error) {
      metadata?.close()
      await storage.close()
      throw error
    }
  }

  /** What is not as it should be, and what to do about it. Each is told once. */
  get notices(): readonly string[] {
    return [...this.#notices]
  }

  async status(hash: Hash, options: WaitOptions = {}): Promise<BlobStatus> {
    return await this.#lifetime.run(options.signal, signal => this.#status(hash, signal))
  }

  async open(hash: Hash, options: OpenOptions = {}): Promise<BlobReader | undefined> {
    return await this.#lifetime.run(options.signal, signal => this.#open(hash, { ...options, signal }))
  }

  async writer(hash: Hash, size: number, options: WaitOptions = {}): Promise<BlobWriter> {
    return await this.#lifetime.run(options.signal, async () => {
      this.#arrivals.checkSize(hash, size)
      if (size > this.#maxBlobSize) throw new BlobTooLargeError(size, this.#maxBlobSize)
      await this.#deletions.whenDone(hash, options.signal)
      const writer = new ObjectWriter(hash, size, {
        lifetime: this.#lifetime,
        arrivals: this.#arrivals,
        place: async bytes => await this.#small.run(() => this.#ingest.placeSmall(hash, bytes)),
        status: () => this.#status(hash),
        onClose: closed => this.#writers.delete(closed)
      })
      this.#writers.add(writer)
      return writer
    })
  }

  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, async signal => {
      // Whatever the caller does with them while this waits.
      const copy = bytes.slice()
      const { length } = copy
      return await this.#limiterFor(length).run(
        () => this.#ingest.addBytes(copy, { ...options, signal }),
        signal
      )
    })
  }

  async addPath(path: string, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, signal =>
      this.#ingest.addPath(path, { ...options, signal }, size => this.#limiterFor(size))
    )
  }

  /** Takes up to 24 MiB of memory while it is going on. Four streams of more than 1 MiB go on at a time; others wait. */
  async addStream(source: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, signal => {
      const add = () => this.#ingest.addStream(source, { ...options, signal }, size => this.#limiterFor(size))
      return this.#streams.run(add, signal)
    })
  }

  async exportPath(hash: Hash, target: string, options: ExportOptions = {}): Promise<void> {
    await this.#lifetime.run(options.signal, async signal => {
      await using reader = await this.#open(hash, { signal })
      if (reader === undefined) throw new BlobNotFoundError(hash)
      if (reader.held !== undefined) throw new BlobNotFoundError(hash, 'is not complete')
      requireCopying(target, options)
      try {
        await exportFile(reader, target, { ...options, signal })
      } catch (error) {
        if (error instanceof CorruptSourceError || error instanceof BlobDamagedError)
          await this.#mending.report(hash, signal)
        throw error
      }
      if (options.mode === 'move') await this.#remove(hash)
    })
  }

  async *list(options: WaitOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    this.#lifetime.check(options.signal)
    const arriving = new Set(Array.from(this.#arrivals.all(), ({ hash }) => hash.toString()))
    let after: Hash | undefined
    for (;;) {
      const rows = this.#context.metadata.listBlobs({ after, limit: PAGE })
      for (const row of rows) {
        this.#lifetime.check(options.signal)
        arriving.delete(row.hash.toString())
        const status = this.#statusOf(row.hash, row)
        if (status.state !== 'absent') yield { hash: row.hash, status, changedAt: row.updatedAt }
      }
      after = rows.at(-1)?.hash
      this.#lifetime.check(options.signal)
      if (rows.length < PAGE) break
    }
    // What has just begun has no row yet.
    for (const { hash } of this.#arrivals.all()) {
      if (!arriving.has(hash.toString())) continue
      const status = this.#statusOf(hash, this.#context.metadata.find(hash))
      if (status.state === 'partial') yield { hash, status, changedAt: Date.now() }
    }
  }

  async delete(hash: Hash): Promise<boolean> {
    return await this.#lifetime.run(undefined, () => this.#remove(hash))
  }

  async lease(options: WaitOptions = {}): Promise<Lease> {
    this.#lifetime.check(options.signal)
    return this.#leases.lease()
  }

  /** Where the storage may have blobs and tags that the index does not know, nobody can tell what is garbage. */
  async sweep(options: WaitOptions = {}): Promise<Sweep> {
    this.#lifetime.check(options.signal)
    const { metadata, storage } = this.#context
    if (this.#options.readThrough === true) {
      throw new GarbageUnknownError(
        `${storage.name} is shared with other nodes (read_through), whose tags this one does not know; delete blobs by hand`
      )
    }
    if (this.#mayBeElsewhere) {
      throw new GarbageUnknownError(
        `${storage.name} may have tags that the database does not know; run "blobs recover" first`
      )
    }
    await this.#lifetime.run(options.signal, () => this.#leases.endAbandoned())
    return new ObjectSweep({
      metadata,
      lifetime: this.#lifetime,
      remove: (hash, isStale) => this.#lifetime.run(undefined, () => this.#removeGarbage(hash, isStale))
    })
  }

  async usage(options: UsageOptions = {}): Promise<Usage> {
    this.#lifetime.check(options.signal)
    const breather = new Breather(options.signal)
    // What has just begun has no row yet.
    const arriving = new Map(Array.from(this.#arrivals.all(), ({ hash }) => [hash.toString(), hash]))
    let partialBytes = 0
    for (let after: Hash | undefined; ; ) {
      const rows = this.#context.metadata.listPartial({ after, limit: PAGE })
      for (const row of rows) {
        arriving.delete(row.hash.toString())
        partialBytes += heldBytes(this.#statusOf(row.hash, row))
        await breather.breathe()
        this.#lifetime.check()
      }
      after = rows.at(-1)?.hash
      if (rows.length < PAGE) break
    }
    for (const hash of arriving.values()) {
      const status = this.#statusOf(hash, this.#context.metadata.find(hash))
      if (status.state === 'partial') partialBytes += heldBytes(status)
    }
    return { bytes: this.#context.metadata.completeBytes() + partialBytes, partialBytes }
  }

  async reportDamage(hash: Hash): Promise<BlobStatus> {
    return await this.#lifetime.run(undefined, async signal => {
      await this.#mending.report(hash, signal)
      return await this.#status(hash)
    })
  }

  async *observe(hash: Hash, options: WaitOptions = {}): AsyncGenerator<BlobStatus, void, undefined> {
    this.#lifetime.check()
    yield* this.#watchers.observe(hash, () => this.status(hash), { ...options, pollMs: POLL_INTERVAL_MS })
  }

  /**
   * Makes the index anew from what is in the storage: after the database was lost, or when the storage was changed by others.
   * Blobs go on being served, added and deleted meanwhile. A second one waits for the first. What was deleted when the database
   * was lost, but still lay in the storage because somebody was reading it, is back.
   *
   * @throws StorageError and its kinds; what was found so far is noted, and another run goes on from there
   */
  async recoverFromStorage(options: RecoveryOptions = {}): Promise<RecoveryReport> {
    return await this.#lifetime.run(options.signal, signal =>
      this.#context.mutex.run(RECOVERY, async () => {
        const { recover } = await import('./recover/index.ts')
        const report = await recover(this.#context, this.#arrivals, { ...options, signal })
        const { metadata, storage } = this.#context
        metadata.setFact(INDEX_FACT, report.failed === 0 ? 'whole' : 'unknown')
        metadata.setFact(STORAGE_FACT, storage.name)
        return report
      })
    )
  }

  async close(): Promise<void> {
    this.#tidying.end()
    await this.#lifetime.end()
    const endings = await Promise.allSettled([...this.#writers].map(writer => writer.close()))
    await Promise.all([...this.#readers].map(reader => reader.close()))
    await Promise.all(this.#deleting)
    this.#watchers.notifyAll()
    await this.#context.cache.close()
    this.#deletions.close()
    await this.#leases.close()
    this.#context.metadata.close()
    await this.#context.storage.close()
    for (const ending of endings) if (ending.status === 'rejected') throw ending.reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #maxBlobSize(): number {
    return this.#options.maxBlobSize ?? Number.MAX_SAFE_INTEGER
  }

  /** Whether the storage may have blobs and tags that the index does not know. */
  get #mayBeElsewhere(): boolean {
    return this.#options.readThrough === true || this.#context.metadata.fact(INDEX_FACT) === 'unknown'
  }

  #notice(message: string): void {
    if (this.#notices.has(message) || this.#notices.size > MOST_NOTICES) return
    const isLast = this.#notices.size === MOST_NOTICES
    const told = isLast ? 'there is more to tell than is told here' : message
    this.#notices.add(told)
    this.#options.onNotice?.(told)
  }

  /** Tells of what has failed behind everybody's back, unless it is because the store is being closed. */
  #noticeFailure(what: string, error: unknown): void {
    if (this.#lifetime.isOver) return
    this.#notice(`cannot ${what}: ${error instanceof Error ? error.message : String(error)}`)
  }

  async #begin(): Promise<void> {
    const { metadata, storage } = this.#context
    const madeFor = metadata.fact(STORAGE_FACT)
    if (madeFor === undefined) metadata.setFact(STORAGE_FACT, storage.name)
    if (madeFor !== undefined && madeFor !== storage.name) {
      metadata.transaction(() => {
        metadata.setFact(INDEX_FACT, 'unknown')
        // What was to be deleted there must not be deleted here.
        metadata.forgetDeletions()
      })
      this.#notice(
        `the database was made for ${madeFor}, and is used for ${storage.name} now; what it lists may be wrong until: blobs recover`
      )
      this.#tidying.begin()
      return
    }
    if (metadata.fact(INDEX_FACT) === undefined) {
      metadata.setFact(INDEX_FACT, (await this.#isIndexWhole()) ? 'whole' : 'unknown')
    }
    if (metadata.fact(INDEX_FACT) === 'unknown') {
      this.#notice(
        `${storage.name} has blobs that the database does not know; they are served, but not listed, until: blobs recover`
      )
    }
    this.#tidying.begin()
  }

  /** A new database knows nothing. When there is nothing to know, it knows all. */
  async #isIndexWhole(): Promise<boolean> {
    const { metadata, storage } = this.#context
    const { complete, partial } = metadata.countBlobs()
    if (complete + partial > 0) return true
    for (const prefix of [BLOBS_PREFIX, TAGS_PREFIX]) {
      for await (const { key } of storage.list({ prefix })) {
        if (isTagKey(key)) return false
        const hash = parseBlobKey(key)?.hash
        if (hash !== undefined && !metadata.isDeletionPending(hash)) return false
      }
    }
    return true
  }

  #limiterFor(size: number): Limiter {
    return size <= SMALL_BYTES ? this.#small : this.#large
  }

  async #status(hash: Hash, signal?: AbortSignal): Promise<BlobStatus> {
    if (hash.equals(EMPTY_HASH)) return EMPTY_BLOB
    const row = await this.#findRow(hash, signal)
    return this.#statusOf(hash, row)
  }

  #statusOf(hash: Hash, row: BlobRow | undefined): BlobStatus {
    if (row?.state === 'complete') return { state: 'complete', size: row.size }
    const live = this.#arrivals.find(hash)
    if (live !== undefined && !live.hasFailed) {
      // Whole, but not yet in one piece: it is complete when its writer has closed.
      if (!live.held.isEmpty) return partialStatus(live.size, live.held)
      if (row === undefined) return ABSENT
    }
    if (row === undefined) return ABSENT
    const { held } = this.#known.of(row)
    return held.isEmpty ? ABSENT : partialStatus(row.size, held)
  }

  /** What the index knows, and if need be what the storage says. A blob that only has to be put together is completed. */
  async #findRow(hash: Hash, signal: AbortSignal | undefined): Promise<BlobRow | undefined> {
    const { metadata } = this.#context
    const isKnown = (row: BlobRow | undefined) =>
      row?.state === 'complete' || this.#arrivals.find(hash) !== undefined
    let row = metadata.find(hash)
    if (isKnown(row)) return row
    if (this.#mayBeElsewhere) {
      await abortable(this.#lookup.refresh(hash), signal)
      row = metadata.find(hash)
    }
    if (isKnown(row) || row === undefined) return row
    const { held } = this.#known.of(row)
    if (!isWhole(held, row.size) || this.#context.leaveAsIs === true) return row
    try {
      await abortable(this.#finishLeftOver(hash), signal)
    } catch (error) {
      signal?.throwIfAborted()
      // It can be read as it is, and is tried again by the next one to ask.
      this.#noticeFailure(`put blob ${hash} together`, error)
    }
    return metadata.find(hash)
  }

  /** Puts a blob together that is all there. When that has failed, not again before some time has passed. */
  async #finishLeftOver(hash: Hash): Promise<void> {
    if (this.#unfinished.mustWait(hash)) return
    try {
      await this.#lifetime.run(undefined, ending => this.#arrivals.finishLeftOver(hash, ending))
      this.#unfinished.succeeded(hash)
    } catch (error) {
      this.#unfinished.failed(hash)
      throw error
    }
  }

  async #open(hash: Hash, { ranges, signal }: OpenOptions): Promise<BlobReader | undefined> {
    if (hash.equals(EMPTY_HASH)) return this.#opened(new EmptyReader(reader => this.#closed(reader)))
    let row = this.#context.metadata.find(hash)
    if (row?.state !== 'complete') {
      await this.#findRow(hash, signal)
      row = this.#context.metadata.find(hash)
    }
    // From here to where the reader is known, nobody can delete it.
    const { storage, cache, budget } = this.#context
    if (row?.state === 'complete') {
      const options = {
        hash,
        size: row.size,
        dataKey: dataKey(hash),
        outboardKey: outboardKey(hash),
        onClose: (closed: BlobReader) => this.#closed(closed),
        onMissing: () => this.#onMissing(hash)
      }
      // A small blob holds no file open: many may be open at a time.
      const { files } = storage
      return this.#opened(
        files !== undefined && hasOutboard(row.size)
          ? new LocalReader({ ...options, files })
          : new ObjectReader({ ...options, storage, cache, budget, ranges })
      )
    }
    const live = this.#arrivals.find(hash)
    const arrival = live?.hasFailed === false ? live : undefined
    if (arrival === undefined && row === undefined) return undefined
    const fragments = arrival?.fragments ?? this.#known.of(row!)
    if ((arrival?.held ?? fragments.held).isEmpty) return undefined
    return this.#opened(new PartialReader(this.#context, fragments, arrival, reader => this.#closed(reader)))
  }

  #opened<R extends BlobReader>(reader: R): R {
    this.#readers.add(reader)
    this.#deletions.onReaderOpened(reader.hash)
    return reader
  }

  #closed(reader: BlobReader): void {
    this.#readers.delete(reader)
    // When it fails, the note is still there: it is done when the store is opened again.
    const deleting = this.#deletions
      .onReaderClosed(reader.hash)
      .catch(error => this.#noticeFailure(`delete blob ${reader.hash}`, error))
      .finally(() => this.#deleting.delete(deleting))
    this.#deleting.add(deleting)
  }

  /** An object is gone that the index said was there. */
  #onMissing(hash: Hash): void {
    this.#lifetime
      .run(undefined, async signal => {
        const row = this.#context.metadata.find(hash)
        const { storage } = this.#context
        const data = row?.state === 'complete' ? await storage.stat(dataKey(hash), { signal }) : undefined
        // The data is there, so it was the outboard, and that can be mended.
        if (data !== undefined) return await this.#mending.report(hash, signal)
        await this.#arrivals.exclusively(hash, () => this.#lookup.relook(hash), signal)
        this.#context.changed(hash)
        if (this.#context.metadata.find(hash) !== undefined) return
        this.#notice(`the data of blob ${hash} is gone from ${storage.name}; add or fetch the blob again`)
      })
      .catch(error => this.#noticeFailure(`look for blob ${hash}`, error))
  }

  async #remove(hash: Hash): Promise<boolean> {
    if (hash.equals(EMPTY_HASH)) return false
    return await this.#arrivals.exclusively(hash, async () => {
      const { metadata, cache } = this.#context
      if (this.#mayBeElsewhere && metadata.find(hash) === undefined) await this.#lookup.relook(hash)
      const live = this.#arrivals.find(hash)
      const wasArriving = live?.hasFailed === false && !live.held.isEmpty
      // Whoever reads what has come so far goes on: it has to be in the storage then.
      if (live !== undefined && this.#deletions.isRead(hash)) await live.save().catch(() => undefined)
      await this.#arrivals.abandon(hash)
      const wasThere = this.#deletions.note(hash) !== undefined
      if (wasThere || wasArriving) this.#context.changed(hash)
      if (wasThere || this.#deletions.hasFailed(hash)) await this.#deletions.delete(hash)
      // What was on its way to the storage when the arrival ended is in no index.
      if (wasArriving && !wasThere) await deleteAll(this.#context, blobPrefix(hash))
      if (!this.#deletions.isRead(hash)) cache.forget(outboardKey(hash))
      return wasThere || wasArriving
    })
  }

  async #removeGarbage(hash: Hash, isStale: () => boolean): Promise<'gone' | 'kept' | 'stale'> {
    if (hash.equals(EMPTY_HASH)) return 'kept'
    return await this.#arrivals.exclusively(hash, async () => {
      if (this.#arrivals.find(hash) !== undefined) return 'kept'
      const noted = this.#context.metadata.transaction(() => {
        if (isStale()) return 'stale'
        return this.#deletions.note(hash) === undefined ? 'kept' : 'gone'
      })
      if (noted !== 'gone') return noted
      this.#context.changed(hash)
      await this.#deletions.delete(hash)
      if (!this.#deletions.isRead(hash)) this.#context.cache.forget(outboardKey(hash))
      return 'gone'
    })
  }
}
