/** `blobs export`: writes what is in the home to files, asking nobody. */
import { join } from 'node:path'
import { checkFree, exportPath } from '../node/export-path.ts'
import { type ExportPlan, planExport } from '../node/export-plan.ts'
import { type MissingFile, surveyPlan } from '../node/export-survey.ts'
import { formatOf } from '../node/local.ts'
import { moveOut } from '../node/move-out.ts'
import { pathOf, placeOf, requireFolder } from '../node/place.ts'
import { findTagOrHash } from '../node/tags.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobStore, HashAndFormat } from '../store/index.ts'
import type { ExportFlags } from './commands/export.ts'
import type { Context } from './context.ts'
import { formatBytes, plural, printableName } from './format.ts'
import { describeStatus, formatState } from './held.ts'
import { openHome } from './open-home.ts'
import { LOCAL_MIN_BYTES, ProgressView } from './progress.ts'

/** Missing files that people are told of by name; scripts get all. */
const MAX_MISSING_SHOWN = 20

/** A collection is moved whole or not at all: what is missing could not be told from what has been moved. */
export class PartialMoveError extends Error {
  override readonly name = 'PartialMoveError'
  readonly code = 'ERR_PARTIAL_MOVE'

  constructor() {
    super('--mode move takes a whole blob or collection; with --partial use another mode')
  }
}

export async function exportTo(context: Context, what: string, flags: ExportFlags): Promise<undefined> {
  const { output, signal } = context
  if (flags.partial && flags.mode === 'move') throw new PartialMoveError()
  const place = placeOf(flags.output)
  await requireFolder(place)
  await using opened = await openHome(context)
  const { store } = opened
  const found = await findTagOrHash(store, what)
  const { hash } = found
  const format = found.format ?? flags.format ?? (await formatOf(store, hash, { signal }))
  // Until it is written.
  await using lease = await store.lease({ signal })
  await lease.protect({ hash, format })
  const plan = await planExport(store, hash, format, { signal })
  const path = pathOf(place, plan.name)
  await checkFree(path)
  const { complete, bytes, missing } = await surveyPlan(store, plan, { signal })
  requireEnough({ hash, format }, plan, missing, flags)
  const view = new ProgressView(output, 'writing', { minBytes: LOCAL_MIN_BYTES })
  const onProgress = (done: { readonly bytes: number }): void =>
    view.update({ bytes: done.bytes, total: bytes })
  try {
    await writeAs(store, { hash, format, ...('name' in found ? { tag: found.name } : {}) }, complete, path, {
      ...flags,
      signal,
      onProgress
    })
  } finally {
    view.end()
  }
  tellMissing(context, plan, missing)
  const files = complete.files.length
  output.result(
    { event: 'exported', hash, path, mode: flags.mode, files, bytes, missing: missing.length },
    path
  )
}

interface Writing extends ExportFlags {
  readonly signal: AbortSignal
  readonly onProgress: (done: { readonly bytes: number }) => void
}

async function writeAs(
  store: BlobStore,
  { hash, format, tag }: HashAndFormat & { readonly tag?: string },
  plan: ExportPlan,
  path: string,
  { mode, force, signal, onProgress }: Writing
): Promise<void> {
  if (mode === 'move') {
    await moveOut(store, { hash, format }, plan, path, { tag, isForced: force, signal, onProgress })
  } else {
    await exportPath(store, plan, path, { mode, signal, onProgress })
  }
}

/** @throws BlobNotFoundError when files are missing, and it is not wanted, or of no use, to leave them out */
function requireEnough(
  { hash }: HashAndFormat,
  { kind, files }: ExportPlan,
  missing: readonly MissingFile[],
  { partial }: ExportFlags
): void {
  const [first] = missing
  if (first === undefined || (partial && missing.length < files.length)) return
  const state = formatState(describeStatus(first))
  if (kind === 'file') throw new BlobNotFoundError(first.hash, `is not complete: it is ${state}`)
  const hint = partial ? 'there is none to write' : '--partial writes the others'
  throw new BlobNotFoundError(
    hash,
    `is not complete: ${countMissing(missing, files, 'of its ')}, such as ` +
      `${JSON.stringify(first.segments.join('/'))} (${state}); ${hint}`
  )
}

function tellMissing({ output }: Context, plan: ExportPlan, missing: readonly MissingFile[]): void {
  if (missing.length === 0) return
  for (const [i, { segments, hash, status }] of missing.entries()) {
    const name = join(plan.name, ...segments)
    const fields = describeStatus({ hash, status })
    output.result({ event: 'missing', name, ...fields })
    const size = fields.size === null ? '' : ` of ${formatBytes(fields.size)}`
    if (i < MAX_MISSING_SHOWN) output.note(`missing: ${printableName(name)} (${formatState(fields)}${size})`)
  }
  const more = missing.length - MAX_MISSING_SHOWN
  if (more > 0) output.note(`missing: ${more} more`)
  output.note(countMissing(missing, plan.files))
}

/** `1 of 12 files is missing` */
function countMissing(missing: readonly unknown[], files: readonly unknown[], of = 'of '): string {
  return `${missing.length} ${of}${plural(files.length, 'file')} ${missing.length === 1 ? 'is' : 'are'} missing`
}
