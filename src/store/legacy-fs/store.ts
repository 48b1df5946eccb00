/** The folder as a BlobStore. */
import { resolve } from 'node:path'
import { GROUP_BYTES } from '../../bao/constants.ts'
import { CorruptSourceError } from '../../bao/errors.ts'
import { groupCount } from '../../bao/geometry.ts'
import { hashBytes } from '../../bao/outboard.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import { Breather } from '../breather.ts'
import { BlobNotFoundError, FileChangedError } from '../errors.ts'
import { type BlobFiles, EMPTY_FILES, FsReader } from '../file-reader.ts'
import { FolderSync } from '../folder-sync.ts'
import { explained, toStoreError } from '../fs-errors.ts'
import { WORTH_BYTES } from '../hash-pool/constants.ts'
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
import { InputFile } from '../input-file.ts'
import { Lifetime } from '../lifetime.ts'
import { Limiter } from '../limiter.ts'
import { makeFolder } from '../make-folder.ts'
import { KeyedMutex } from '../mutex.ts'
import { Progress } from '../progress.ts'
import { Remembered } from '../remembered.ts'
import { ABSENT, EMPTY_BLOB, partialStatus, usageOf } from '../status.ts'
import { TempFolder } from '../temp.ts'
import { abortableItems, allDone } from '../waiting.ts'
import { POLL_INTERVAL_MS, StatusWatchers } from '../watchers.ts'
import { BlockPool } from './block-pool.ts'
import { blocksOf, slicesOf } from './blocks.ts'
import type { FsContext } from './context.ts'
import { exportBlob } from './export.ts'
import { findRoot, foreignNotice } from './foreign.ts'
import { findComplete } from './found.ts'
import { Ingest } from './ingest.ts'
import { Integrity } from './integrity.ts'
import { Layout } from './layout.ts'
import { FsLeases } from './leases.ts'
import { listBlobs } from './listing/list.ts'
import { NamesSeen } from './listing/names-seen.ts'
import { Mending } from './mending.ts'
import { Notices } from './notices.ts'
import { openComplete, openPartial, untilStill } from './opening.ts'
import type { LegacyFsStoreOptions } from './options.ts'
import { Partials } from './partials.ts'
import { Journals } from './small/journals.ts'
import { SmallFiles } from './small/small-files.ts'
import { SmallReader } from './small/small-reader.ts'
import { SmallWriter } from './small/small-writer.ts'
import { FsSweep } from './sweep.ts'
import { FsTags } from './tags.ts'
import { FsWriter, type WriterHome } from './writer.ts'

/** Adds, and writes of tags, that have files open at the same time. */
const MOST_AT_ONCE = 16

/**
 * The same for blobs of one chunk group, which have at most one file open each: nearly all they do is wait for the disk, and
 * it writes those of several threads in one go.
 */
const MOST_SMALL_AT_ONCE = 128

/** Blobs that are looked up at the same time, or without asking whether it is time for others. */
const LOOKS_AT_ONCE = 32

/** Runs a step of an add when it is its turn. */
type InTurn = (step: () => Promise<void>) => Promise<void>

export class LegacyFsStore implements BlobStore {
  readonly #tags: FsTags
  readonly #context: FsContext
  readonly #notices: Notices
  readonly #lifetime = new Lifetime()
  readonly #limiter = new Limiter(MOST_AT_ONCE)
  readonly #smallLimiter = new Limiter(MOST_SMALL_AT_ONCE)
  readonly #blocks = new BlockPool()
  readonly #watchers = new StatusWatchers()
  readonly #small: SmallFiles
  readonly #integrity: Integrity
  readonly #partials: Partials
  readonly #leases: FsLeases
  readonly #mending: Mending
  /** There is no index: all files have to be looked at. */
  readonly #usage = new Remembered(() => this.#lookAtUsage())
  readonly #readers = new Set<BlobReader>()
  readonly #onReaderClosed = (reader: BlobReader): void => void this.#readers.delete(reader)
  readonly #namesSeen: NamesSeen
  readonly #writers = new Set<BlobWriter>()
  readonly #writerHome: WriterHome

  private constructor(context: FsContext, notices: Notices) {
    this.#context = context
    this.#notices = notices
    this.#small = new SmallFiles({ context, most: GROUP_BYTES })
    this.#integrity = new Integrity(context, this.#small)
    this.#partials = new Partials(context, this.#integrity, hash => this.#watchers.notify(hash))
    this.#leases = new FsLeases(context, this.#lifetime)
    context.journals.keep({
      owner: this.#leases.owner,
      retire: (journal, isDoubtful) => this.#small.retire(journal, isDoubtful)
    })
    this.#tags = new FsTags(context, this.#lifetime, this.#limiter, this.#leases)
    this.#mending = new Mending(context, this.#integrity, this.#partials, this.#lifetime)
    this.#namesSeen = new NamesSeen(context.layout)
    this.#writerHome = {
      lifetime: this.#lifetime,
      partials: this.#partials,
      place: (hash, bytes, wasAbsent) => this.#placeSmall(hash, bytes, wasAbsent),
      status: hash => this.#status(hash),
      onClose: writer => this.#writers.delete(writer)
    }
  }

  /**
   * Opens the store in `folder`, which is made when it is not there. A folder that iroh-blobs has written is taken as it is,
   * see `foreign.ts`.
   *
   * @throws StoreError when the folder cannot be made or read
   */
  static async open(folder: string, options: LegacyFsStoreOptions = {}): Promise<LegacyFsStore> {
    return await explained(`cannot open a store in ${folder}`, async () => {
      const { root, isForeign } = await findRoot(folder)
      const layout = new Layout(root, isForeign)
      for (const path of [
        layout.dataFolder,
        layout.tagFolder,
        layout.leaseFolder,
        layout.sweepFolder,
        layout.tempFolder,
        layout.journalFolder
      ]) {
        makeFolder(resolve(path))
      }
      const isSynced = options.sync !== 'none'
      const notices = new Notices(options.onNotice)
      const temp = new TempFolder(layout.tempFolder)
      await temp.sweep()
      if (isForeign) notices.add(foreignNotice(root))
      const dataSync = new FolderSync(layout.dataFolder, isSynced)
      const mutex = new KeyedMutex()
      const journals = new Journals({ layout, temp, isSynced, dataSync, notice: notices.add })
      await journals.replay()
      const context = { layout, temp, isSynced, dataSync, mutex, journals, notice: notices.add }
      const store = new LegacyFsStore(context, notices)
      await store.#leases.tidy()
      return store
    })
  }

  /** What is not as it should be, and what to do about it: damaged files, blobs that cannot be read. Each is told once. */
  get notices(): readonly string[] {
    return this.#notices.all
  }

  get tags(): TagStore {
    return this.#tags
  }

  async status(hash: Hash, options: WaitOptions = {}): Promise<BlobStatus> {
    this.#lifetime.check(options.signal)
    // Most of thousands of blobs that are looked up are not there: as few promises as can be.
    if (this.#isAbsent(hash)) return ABSENT
    return await this.#lifetime.runShort(options.signal, () => this.#status(hash))
  }

  async statusOfMany(hashes: readonly Hash[], options: WaitOptions = {}): Promise<BlobStatus[]> {
    return await this.#lifetime.run(options.signal, async signal => {
      const seen = await this.#namesSeen.among(hashes)
      const statuses: BlobStatus[] = []
      const there: number[] = []
      const absent: Hash[] = []
      const breather = new Breather(signal)
      for (const [place, hash] of hashes.entries()) {
        if (place % LOOKS_AT_ONCE === 0) await breather.breathe()
        statuses.push(ABSENT)
        if (this.#isAbsent(hash, seen)) absent.push(hash)
        else there.push(place)
      }
      this.#partials.noteAbsent(absent)
      const look = async (): Promise<void> => {
        for (let place = there.pop(); place !== undefined; place = there.pop()) {
          await breather.breathe()
          statuses[place] = await this.#status(hashes[place]!)
        }
      }
      await allDone(Array.from({ length: LOOKS_AT_ONCE }, look))
      return statuses
    })
  }

  async open(hash: Hash, options: OpenOptions = {}): Promise<BlobReader | undefined> {
    return await this.#lifetime.runShort(options.signal, () => this.#open(hash))
  }

  async writer(hash: Hash, size: number, options: WaitOptions = {}): Promise<BlobWriter> {
    this.#lifetime.check(options.signal)
    const isSmall = groupCount(size) === 1
    // As most of thousands of small blobs are that arrive: as few promises as can be.
    const isAbsent = isSmall && this.#hasNoData(hash)
    if (!isAbsent) await this.#lifetime.runShort(options.signal, () => this.#partials.checkSize(hash, size))
    const writer = isSmall
      ? new SmallWriter(hash, size, this.#writerHome, isAbsent)
      : new FsWriter(hash, size, this.#writerHome)
    this.#writers.add(writer)
    return writer
  }

  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    if (bytes.length <= GROUP_BYTES)
      return await this.#addShort(options, () => this.#addSmall(bytes, options))
    return await this.#lifetime.run(options.signal, signal =>
      this.#limiter.run(() => this.#add(slicesOf(bytes), { ...options, signal }), signal)
    )
  }

  async addPath(path: string, options: AddOptions = {}): Promise<AddResult> {
    const small = await this.#addShort(options, () => this.#addSmallFile(path, options))
    if (small !== undefined) return small
    return await this.#lifetime.run(options.signal, signal =>
      this.#limiter.run(() => this.#addFile(path, { ...options, signal }), signal)
    )
  }

  async addStream(source: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<AddResult> {
    return await this.#lifetime.run(options.signal, async signal => {
      const ingest = new Ingest(this.#context, this.#blocks.give)
      const blocks = blocksOf(abortableItems(source, signal), this.#blocks)
      // A stream may fall silent. It has nothing open meanwhile, so that any number of them do not hinder the others.
      const inTurn = async (step: () => Promise<void>) => {
        await this.#limiter.run(async () => {
          await step()
          await ingest.park()
        }, signal)
      }
      return await this.#add(blocks, { ...options, signal }, ingest, inTurn)
    })
  }

  async exportPath(hash: Hash, target: string, options: ExportOptions = {}): Promise<void> {
    await this.#lifetime.run(options.signal, async signal => {
      const isFileWanted = options.mode !== undefined && options.mode !== 'copy'
      await using reader = await (isFileWanted ? this.#openFiles(hash) : this.#open(hash))
      if (reader === undefined) throw new BlobNotFoundError(hash)
      if (reader.held !== undefined) throw new BlobNotFoundError(hash, 'is not complete')
      try {
        await exportBlob(this.#context, reader, target, { ...options, signal })
      } catch (error) {
        if (error instanceof CorruptSourceError) await this.#reportDamage(hash)
        throw error
      }
      if (options.mode === 'move') await this.#partials.remove(hash)
    })
  }

  async reportDamage(hash: Hash): Promise<BlobStatus> {
    return await this.#lifetime.run(undefined, async () => {
      await this.#reportDamage(hash)
      return await this.#status(hash)
    })
  }

  /** Damaged outboards are noticed when a blob is opened, not here: that would mean to read all blobs. */
  list(options: WaitOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    const check = () => this.#lifetime.check(options.signal)
    return listBlobs(this.#context.layout, hash => this.#status(hash), check)
  }

  async delete(hash: Hash): Promise<boolean> {
    return await this.#lifetime.run(undefined, async () => {
      return hash.equals(EMPTY_HASH) ? false : await this.#partials.remove(hash)
    })
  }

  async *observe(hash: Hash, options: WaitOptions = {}): AsyncGenerator<BlobStatus, void, undefined> {
    this.#lifetime.check()
    yield* this.#watchers.observe(hash, () => this.status(hash), { ...options, pollMs: POLL_INTERVAL_MS })
  }

  async lease(options: WaitOptions = {}): Promise<Lease> {
    this.#lifetime.check(options.signal)
    return this.#leases.lease()
  }

  async sweep(options: WaitOptions = {}): Promise<Sweep> {
    return await this.#lifetime.run(options.signal, () =>
      FsSweep.begin({
        leases: this.#leases,
        tags: this.#tags,
        lifetime: this.#lifetime,
        remove: hash => this.#partials.removeUnused(hash),
        sync: () => this.#partials.sync()
      })
    )
  }

  async usage(options: UsageOptions = {}): Promise<Usage> {
    return await this.#lifetime.run(options.signal, signal => this.#usage.get({ ...options, signal }))
  }

  async close(): Promise<void> {
    await this.#lifetime.end()
    const endings = await Promise.allSettled([...this.#writers].map(writer => writer.close()))
    await Promise.all([...this.#readers].map(reader => reader.close()))
    this.#context.journals.close()
    await this.#small.close()
    await this.#leases.close()
    this.#watchers.notifyAll()
    for (const ending of endings) if (ending.status === 'rejected') throw ending.reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #lookAtUsage(): Promise<Usage> {
    return await usageOf(this.list())
  }

  async #reportDamage(hash: Hash): Promise<void> {
    if (hash.equals(EMPTY_HASH)) return
    await this.#mending.report(hash)
    this.#watchers.notify(hash)
  }

  async #addFile(path: string, options: AddOptions): Promise<AddResult> {
    const { signal } = options
    await using file = await InputFile.open(path)
    const { take, give } = this.#blocks
    const ingest = new Ingest(this.#context, give)
    if (file.size < WORTH_BYTES) return await this.#add(file.pieces(signal, take), options, ingest)
    return await this.#keep(options, ingest, async progress => {
      const onHashed = (bytes: number) => progress.add(bytes)
      await this.#explained(() => ingest.takeFile(file, take, { signal, onHashed }))
    })
  }

  async #add(
    blocks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: AddOptions,
    ingest = new Ingest(this.#context),
    inTurn: InTurn = async step => await step()
  ): Promise<AddResult> {
    const fill = async (progress: Progress): Promise<void> => {
      for await (const block of blocks) {
        options.signal?.throwIfAborted()
        await this.#explained(() => inTurn(() => ingest.push(block)))
        progress.add(block.length)
      }
    }
    return await this.#keep(options, ingest, fill, inTurn)
  }

  /** @param fill brings all of the blob into `ingest` */
  async #keep(
    { signal, onProgress, lease }: AddOptions,
    ingest: Ingest,
    fill: (progress: Progress) => Promise<void>,
    inTurn: InTurn = async step => await step()
  ): Promise<AddResult> {
    const progress = new Progress(onProgress)
    try {
      await fill(progress)
      signal?.throwIfAborted()
      const { hash, size } = ingest.finish()
      await lease?.protect({ hash, format: 'raw' })
      if (size > 0)
        await this.#explained(() => inTurn(() => this.#partials.place(hash, size, () => ingest.files())))
      progress.end()
      return { hash, size }
    } finally {
      await ingest.close()
    }
  }

  #explained<T>(action: () => Promise<T>): Promise<T> {
    return explained(`cannot add to ${this.#context.layout.root}`, action)
  }

  async #addShort<T>({ signal }: AddOptions, add: () => Promise<T>): Promise<T> {
    return await this.#lifetime.runShort(signal, () =>
      this.#smallLimiter.run(async () => {
        this.#lifetime.check(signal)
        return await add()
      }, signal)
    )
  }

  /** @returns undefined when the file has more than one chunk group, or is none */
  async #addSmallFile(path: string, options: AddOptions): Promise<AddResult | undefined> {
    const file = await explained(`cannot read ${path}`, () => this.#small.read(path))
    if (file === 'changed') throw new FileChangedError(path)
    return file === 'other' ? undefined : await this.#addSmall(file.bytes, options)
  }

  async #addSmall(bytes: Uint8Array, { signal, onProgress, lease }: AddOptions): Promise<AddResult> {
    this.#lifetime.check(signal)
    const { hash } = hashBytes(bytes)
    await lease?.protect({ hash, format: 'raw' })
    if (bytes.length > 0) await this.#placeSmall(hash, bytes)
    const progress = new Progress(onProgress)
    progress.add(bytes.length)
    progress.end()
    return { hash, size: bytes.length }
  }

  /** Keeps a blob of one chunk group, whose hash has been verified. */
  #placeSmall(hash: Hash, bytes: Uint8Array, wasAbsent = false): Promise<void> {
    const write = () => this.#small.write(hash, bytes)
    return this.#explained(() => this.#partials.placeSmall(hash, write, wasAbsent))
  }

  #hasNoData(hash: Hash): boolean {
    try {
      return !hash.equals(EMPTY_HASH) && this.#partials.hasNoData(hash)
    } catch (error) {
      throw toStoreError(error, cannotLookFor(hash))
    }
  }

  /** @param seen blobs that a file belongs to, if that is known */
  #isAbsent(hash: Hash, seen?: ReadonlySet<string>): boolean {
    try {
      if (hash.equals(EMPTY_HASH)) return false
      if (seen === undefined) return this.#partials.isAbsent(hash)
      return !seen.has(hash.toString()) && this.#partials.find(hash) === undefined
    } catch (error) {
      throw toStoreError(error, cannotLookFor(hash))
    }
  }

  async #status(hash: Hash): Promise<BlobStatus> {
    if (hash.equals(EMPTY_HASH)) return EMPTY_BLOB
    const found = await explained(cannotLookFor(hash), () =>
      untilStill(hash, () => this.#partials.look(hash))
    )
    if (found === undefined) return ABSENT
    return found.state === 'complete'
      ? { state: 'complete', size: found.size }
      : partialStatus(found.size, found.ranges)
  }

  async #open(hash: Hash): Promise<FsReader | SmallReader | undefined> {
    return (await this.#openSmall(hash)) ?? (await this.#openFiles(hash))
  }

  /** A complete blob of one chunk group. Opening one of thousands makes as few promises as can be. */
  async #openSmall(hash: Hash): Promise<SmallReader | undefined> {
    if (hash.equals(EMPTY_HASH)) return undefined
    const { layout } = this.#context
    try {
      // In a folder of our own, a data file is all that makes a blob complete.
      if (layout.isForeign && findComplete(layout, hash) === undefined) return undefined
      const file = await this.#integrity.readSmall(hash)
      return file && this.#opened(new SmallReader(hash, file.bytes, this.#onReaderClosed))
    } catch (error) {
      throw toStoreError(error, cannotOpen(hash))
    }
  }

  async #openFiles(hash: Hash): Promise<FsReader | undefined> {
    const files = hash.equals(EMPTY_HASH)
      ? EMPTY_FILES
      : await explained(cannotOpen(hash), () => untilStill(hash, () => this.#findFiles(hash)))
    return files && this.#opened(new FsReader(files, this.#onReaderClosed))
  }

  #opened<T extends BlobReader>(reader: T): T {
    this.#readers.add(reader)
    return reader
  }

  async #findFiles(hash: Hash): Promise<BlobFiles | undefined | 'again'> {
    const found = await this.#partials.look(hash)
    if (found === 'again') return 'again'
    if (found === undefined) {
      await this.#integrity.checkNotDamaged(hash)
      return undefined
    }
    const files =
      found.state === 'complete'
        ? await openComplete(this.#context, hash, found)
        : await openPartial(this.#context, hash, found)
    return files ?? 'again'
  }
}

function cannotOpen(hash: Hash): string {
  return `cannot open blob ${hash}`
}

function cannotLookFor(hash: Hash): string {
  return `cannot look for blob ${hash}`
}
