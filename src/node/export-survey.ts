/** Which files of a plan can be written by what the store holds. */
import type { BlobStatus, BlobStore, WaitOptions } from '../store/index.ts'
import { forEachBounded } from './bounded.ts'
import type { ExportPlan, PlannedFile } from './export-plan.ts'

/** Blobs whose status is asked for at the same time. */
const STATUS_CONCURRENCY = 16

export interface MissingFile extends PlannedFile {
  readonly status: Exclude<BlobStatus, { state: 'complete' }>
}

export interface Survey {
  /** The plan with those files only that are complete. */
  readonly complete: ExportPlan
  /** Bytes of these. */
  readonly bytes: number
  readonly missing: readonly MissingFile[]
}

export async function surveyPlan(
  store: BlobStore,
  plan: ExportPlan,
  options: WaitOptions = {}
): Promise<Survey> {
  const statuses = new Array<BlobStatus>(plan.files.length)
  const look = async (index: number): Promise<void> => {
    statuses[index] = await store.status(plan.files[index]!.hash, options)
  }
  await forEachBounded(plan.files.keys(), STATUS_CONCURRENCY, look, options.signal)
  const files: PlannedFile[] = []
  const missing: MissingFile[] = []
  let bytes = 0
  for (const [index, file] of plan.files.entries()) {
    const status = statuses[index]!
    if (status.state === 'complete') {
      files.push(file)
      bytes += status.size
    } else {
      missing.push({ ...file, status })
    }
  }
  return { complete: { ...plan, files }, bytes, missing }
}
