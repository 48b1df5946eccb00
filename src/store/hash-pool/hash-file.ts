/** Hashing a whole file, on threads where that is worth it. */
import { CV_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { type HashedBlob, OutboardBuilder } from '../../bao/outboard.ts'
import { FileChangedError } from '../errors.ts'
import { toStoreError } from '../fs-errors.ts'
import { type InputFile, takingTurns } from '../input-file.ts'
import type { OutboardSpool } from '../outboard-spool.ts'
import { JOB_BYTES, WORTH_BYTES } from './constants.ts'
import type { Crew } from './crew.ts'
import type { CopyTarget, FailedJob, HashedJob, HashJob } from './messages.ts'
import { hashPool } from './pool.ts'

export interface HashFileOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the number of bytes that have been hashed since the last call. */
  readonly onHashed?: ((bytes: number) => void) | undefined
  /** Gets the very bytes that were hashed. */
  readonly copy?: FileCopy | undefined
}

/** A file that another one is copied to. */
export interface FileCopy {
  /** For the threads. */
  readonly target: CopyTarget
  /** A buffer of at least so many bytes. */
  readonly allocate: (bytes: number) => Uint8Array
  /** Takes the next block, from the beginning, in a buffer of `allocate` that is not used any more. */
  readonly write: (block: Uint8Array) => Promise<void>
}

/**
 * Hashes a file, on threads as soon as they have started; until then, and where there can be none, the main thread does it. When
 * it returns or throws, no thread uses the files any more.
 *
 * @param spool takes the nodes of its runs
 * @throws StoreError when it cannot be read, or a thread has ended; FileChangedError when it has changed meanwhile; what the
 *   system says when the copy cannot be written
 */
export async function hashFile(
  file: InputFile,
  spool: OutboardSpool,
  options: HashFileOptions = {}
): Promise<HashedBlob> {
  if (file.size < WORTH_BYTES) return await hashWith(undefined, file, spool, options)
  return await hashPool.use(crew => hashWith(crew, file, spool, options))
}

/** @param crew none: the main thread does all of it */
export async function hashWith(
  crew: Crew | undefined,
  file: InputFile,
  spool: OutboardSpool,
  options: HashFileOptions = {}
): Promise<HashedBlob> {
  const builder = new OutboardBuilder(spool.add)
  const { signal, onHashed, copy } = options
  if (!crew?.isReady) {
    for await (const piece of file.pieces(signal, copy?.allocate ?? takingTurns())) {
      builder.push(piece)
      await copy?.write(piece)
      await spool.relieve()
      onHashed?.(piece.length)
      if (crew?.isReady) break
    }
  }
  if (crew !== undefined && builder.size < file.size) {
    await hashRest(crew, file, spool, builder, options)
    await file.checkUnchanged()
  }
  return builder.finish()
}

/** Has the threads do what is left. */
async function hashRest(
  crew: Crew,
  file: InputFile,
  spool: OutboardSpool,
  builder: OutboardBuilder,
  { signal, onHashed, copy }: HashFileOptions
): Promise<void> {
  const jobs = jobsOf(file, builder.size, copy?.target)
  const running: { job: HashJob; result: Promise<HashedJob | FailedJob> }[] = []
  const fill = (): void => {
    while (running.length < crew.width) {
      const job = jobs.next().value
      if (job === undefined) return
      const result = crew.run(job)
      // It may fail while the one before it is awaited.
      result.catch(() => undefined)
      running.push({ job, result })
    }
  }
  try {
    for (fill(); running.length > 0; fill()) {
      signal?.throwIfAborted()
      const { job, result } = running.shift()!
      const hashed = await result
      if ('failed' in hashed) throw failureOf(hashed, file)
      pushRuns(builder, job, hashed)
      await spool.relieve()
      onHashed?.(job.length)
    }
    signal?.throwIfAborted()
  } finally {
    await Promise.allSettled(running.map(({ result }) => result))
  }
}

/** @param start a multiple of 1 MiB */
function* jobsOf(
  { handle, size }: InputFile,
  start: number,
  target: CopyTarget | undefined
): Generator<HashJob, undefined> {
  for (let offset = start; offset < size; offset += JOB_BYTES) {
    const length = Math.min(JOB_BYTES, size - offset)
    yield { source: handle.fd, offset, length, isRoot: size <= RUN_BYTES, target }
  }
}

function pushRuns(builder: OutboardBuilder, { length }: HashJob, { values, pairs }: HashedJob): void {
  let at = 0
  for (let run = 0; run * RUN_BYTES < length; run++) {
    const bytes = Math.min(RUN_BYTES, length - run * RUN_BYTES)
    const end = at + outboardBytes(bytes)
    const value = values.subarray(run * CV_BYTES, (run + 1) * CV_BYTES)
    builder.pushRun({ length: bytes, value, pairs: pairs.subarray(at, end) })
    at = end
  }
}

function failureOf({ failed, message, code }: FailedJob, { path }: InputFile): unknown {
  if (failed === 'end') return new FileChangedError(path)
  const error = Object.assign(new Error(message), code === undefined ? {} : { code })
  return failed === 'read' ? toStoreError(error, `cannot read ${path}`) : error
}
