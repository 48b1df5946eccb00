/**
 * A hashing thread: reads, hashes and writes by itself, so that bytes never pass from one thread to another.
 *
 * What is written comes out of the very buffer that was hashed. The source may change at any moment: what is stored has the hash
 * that was computed, whatever was read.
 */
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { alignedBuffer } from '../../bao/aligned-buffer.ts'
import { CV_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { useModule } from '../../bao/kernel/index.ts'
import { hashRun } from '../../bao/outboard.ts'
import { errorCode } from '../fs-errors.ts'
import { CopyWriter } from './copy-writer.ts'
import type { FailedJob, HashedJob, HashJob } from './messages.ts'

// The kernel as the main thread has it.
if (workerData instanceof WebAssembly.Module) useModule(workerData)

const writer = new CopyWriter()

/** Used for every run. */
const buffer = alignedBuffer(RUN_BYTES)

class JobError extends Error {
  override readonly name = 'JobError'
  readonly failed: FailedJob['failed']

  constructor(failed: FailedJob['failed'], cause?: unknown) {
    super(cause instanceof Error ? cause.message : failed, { cause })
    this.failed = failed
  }
}

function run(job: HashJob): HashedJob {
  const runs = Math.ceil(job.length / RUN_BYTES)
  const values = new Uint8Array(runs * CV_BYTES)
  const pairs = new Uint8Array(
    (runs - 1) * outboardBytes(RUN_BYTES) + outboardBytes(job.length - (runs - 1) * RUN_BYTES)
  )
  for (let i = 0; i < runs; i++) {
    const offset = job.offset + i * RUN_BYTES
    const data = buffer.subarray(0, Math.min(RUN_BYTES, job.length - i * RUN_BYTES))
    readFully(job.source, data, offset)
    const at = i * outboardBytes(RUN_BYTES)
    hashRun(data, offset / RUN_BYTES, job.isRoot, {
      value: values.subarray(i * CV_BYTES, (i + 1) * CV_BYTES),
      pairs: pairs.subarray(at, at + outboardBytes(data.length))
    })
    const { target } = job
    if (target !== undefined) attempt('write', () => writer.write(target, data, offset))
  }
  return { values, pairs }
}

function readFully(file: number, data: Uint8Array, offset: number): void {
  for (let filled = 0; filled < data.length; ) {
    const bytes = attempt('read', () => readSync(file, data, filled, data.length - filled, offset + filled))
    if (bytes === 0) throw new JobError('end')
    filled += bytes
  }
}

function attempt<T>(what: 'read' | 'write', action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new JobError(what, error)
  }
}

parentPort?.on('message', (job: HashJob) => {
  try {
    const hashed = run(job)
    parentPort?.postMessage(hashed, [hashed.values.buffer, hashed.pairs.buffer])
  } catch (error) {
    if (!(error instanceof JobError)) throw error
    const { failed, message, cause } = error
    parentPort?.postMessage({ failed, message, code: errorCode(cause) } satisfies FailedJob)
  }
})
parentPort?.postMessage('ready')
