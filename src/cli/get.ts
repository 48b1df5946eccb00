/** `blobs get`: fetches into the home, and writes to files if wanted. */
import { MissingChunksError } from '../bao/errors.ts'
import type { Hash } from '../hash.ts'
import type { FetchResult } from '../libp2p/index.ts'
import { idOf } from '../libp2p/provider-address.ts'
import { planPath } from '../node/collection-path.ts'
import { addCollection } from '../node/collections.ts'
import { checkFree, exportPath } from '../node/export-path.ts'
import { type ExportPlan, type PlannedFile, planExport } from '../node/export-plan.ts'
import { surveyPlan } from '../node/export-survey.ts'
import { fetchNamed } from '../node/fetch-named.ts'
import { formatOf, localState } from '../node/local.ts'
import { type Place, pathOf, placeOf, requireFolder } from '../node/place.ts'
import { InvalidPeerError, parseWantedPath, requireProvider, type WantedPath } from '../node/provider-list.ts'
import { addTag, tagsOf } from '../node/tags.ts'
import { markUnfinished, unfinishedSince, unmarkUnfinished } from '../node/unfinished.ts'
import { InvalidCollectionError } from '../protocol/collection.ts'
import { UnsafeNameError } from '../protocol/safe-name.ts'
import { BlobNotFoundError } from '../store/errors.ts'
import type { BlobFormat, BlobStore, HashAndFormat, Lease } from '../store/index.ts'
import { startClient } from './client-node.ts'
import type { GetFlags } from './commands/get.ts'
import type { Context } from './context.ts'
import { type OpenHome, openHome } from './open-home.ts'
import { TransferView } from './transfer.ts'

/** Blobs that are protected by one call, which takes them as arguments. */
const PROTECTED_AT_ONCE = 1_000

/** A ticket leads to the node that is to fetch. */
export class OwnTicketError extends Error {
  override readonly name = 'OwnTicketError'
  readonly code = 'ERR_OWN_TICKET'

  constructor(home: string) {
    super(
      `the ticket was made by this very node (${home}), and its store lacks what it names; fetch it with another home`
    )
  }
}

/** What was fetched, and what it becomes as files where that was looked at. */
interface Fetched {
  readonly result: FetchResult
  readonly plan?: ExportPlan | undefined
}

type Target = WantedPath & { readonly format: BlobFormat }

export async function get(context: Context, what: string, flags: GetFlags): Promise<undefined> {
  const { signal } = context
  const wanted = parseWantedPath(what, flags.peer)
  const place = flags.output === undefined ? undefined : placeOf(flags.output)
  if (place !== undefined) await requireFolder(place)
  if (place?.name !== undefined) await checkFree(pathOf(place, place.name))
  await using opened = await openHome(context)
  const { store } = opened
  const format = wanted.format ?? flags.format ?? (await formatOf(store, wanted.hash, { signal }))
  const target = { ...wanted, format }
  // Until it has a tag, or is written.
  await using lease = await store.lease({ signal })
  await lease.protect({ hash: wanted.hash, format })
  const view = new TransferView(context.output, 'fetching')
  try {
    const { result, plan } =
      (await held(store, target, signal)) ??
      (await fetchKept(context, opened, target, { place, view, lease }))
    const kept = plan === undefined || target.path === undefined ? result : await keepPart(store, plan, lease)
    await tagOnce(store, kept, target.path === undefined ? undefined : plan?.name)
    await unmarkUnfinished(store, wanted.hash)
    const path = place === undefined ? null : await write(context, store, result, plan, place)
    view.done({ ...result, hash: kept.hash }, path)
  } finally {
    view.end()
  }
}

/** Undefined unless all is there: then nobody has to be asked. */
async function held(
  store: BlobStore,
  { hash, format, path }: Target,
  signal: AbortSignal
): Promise<Fetched | undefined> {
  if (path === undefined) {
    const { isComplete, size, blobs } = await localState(store, hash, format, { signal })
    return isComplete ? { result: { hash, format, size, received: 0, had: size, blobs } } : undefined
  }
  const plan = await planIfHeld(store, hash, path, signal)
  if (plan === undefined) return undefined
  const { bytes: size, missing } = await surveyPlan(store, plan, { signal })
  if (missing.length > 0) return undefined
  return { result: { hash, format, size, received: 0, had: size, blobs: plan.files.length }, plan }
}

/** Undefined when the collection's names are not there yet. */
async function planIfHeld(
  store: BlobStore,
  hash: Hash,
  path: string,
  signal: AbortSignal
): Promise<ExportPlan | undefined> {
  try {
    return await planPath(store, hash, path, { signal })
  } catch (error) {
    if (error instanceof BlobNotFoundError || error instanceof MissingChunksError) return undefined
    throw error
  }
}

interface Fetching {
  readonly place: Place | undefined
  readonly view: TransferView
  readonly lease: Lease
}

/** What has come of a collection when it is cut off stays for the next time, for some days. */
async function fetchKept(
  context: Context,
  opened: OpenHome,
  wanted: Target,
  fetching: Fetching
): Promise<Fetched> {
  const { store } = opened
  const { hash, format } = wanted
  requireProvider(wanted)
  if (format === 'raw') return await fetchMissing(context, opened, wanted, fetching)
  await markUnfinished(store, hash, context)
  try {
    return await fetchMissing(context, opened, wanted, fetching)
  } catch (error) {
    if ((await store.status(hash)).state === 'absent') await unmarkUnfinished(store, hash)
    throw error
  }
}

async function fetchMissing(
  context: Context,
  opened: OpenHome,
  wanted: Target,
  { place, view, lease }: Fetching
): Promise<Fetched> {
  const { home, signal } = context
  const { hash, format, path, providers } = wanted
  await using client = await startClient(context, opened)
  const { node } = client
  // Its own ticket is of use to a node that has lost what it names, when another one is named too.
  const from = providers.filter(addr => idOf([addr]) !== node.peerId)
  if (from.length === 0) {
    if (wanted.peerId === node.peerId) throw new OwnTicketError(home)
    throw new InvalidPeerError(`"${providers[0]}" is this very node: name another one`)
  }
  const common = { from, format, signal, onProgress: view.update }
  // Names that cannot be files do no harm in a store.
  if (place === undefined && path === undefined) {
    return { result: await node.blobs.fetch(hash, { ...common, askSizes: true }) }
  }
  const onPlan = async ({ name, files }: ExportPlan): Promise<void> => {
    if (place !== undefined) await checkFree(pathOf(place, name))
    if (path === undefined) await lease.protect({ hash, format })
    else await protectFiles(lease, files)
  }
  const result = await fetchNamed(node.blobs, opened.store, hash, { ...common, path, onPlan })
  return { result, plan: result.plan }
}

async function protectFiles(lease: Lease, files: readonly PlannedFile[]): Promise<void> {
  for (let i = 0; i < files.length; i += PROTECTED_AT_ONCE) {
    const some = files.slice(i, i + PROTECTED_AT_ONCE)
    await lease.protect(...some.map(({ hash }) => ({ hash, format: 'raw' as const })))
  }
}

async function write(
  { signal }: Context,
  store: BlobStore,
  { hash, format }: FetchResult,
  known: ExportPlan | undefined,
  place: Place
): Promise<string> {
  const plan = known ?? (await planExport(store, hash, format, { signal }))
  const path = pathOf(place, plan.name)
  await exportPath(store, plan, path, { signal })
  return path
}

/** What is kept of a part of a collection: the file's own blob, or a folder's files as a collection of their own. */
async function keepPart(
  store: BlobStore,
  { name, kind, files }: ExportPlan,
  lease: Lease
): Promise<HashAndFormat> {
  if (kind === 'file') return { hash: files[0]!.hash, format: 'raw' }
  const entries = files.map(({ hash, segments }) => ({ name: [name, ...segments].join('/'), hash }))
  const { root } = await addCollection(store, entries, { lease })
  return { hash: root.hash, format: 'hash_seq' }
}

/** What was fetched is meant to be kept: under its own name, if it has one that can be used. */
async function tagOnce(store: BlobStore, { hash, format }: HashAndFormat, name?: string): Promise<void> {
  const tags = await tagsOf(store, hash)
  if (tags.some(tag => unfinishedSince(tag.name) === undefined)) return
  const own = name ?? (format === 'raw' ? '' : await ownName(store, hash))
  await addTag(store, own, { hash, format })
}

async function ownName(store: BlobStore, hash: Hash): Promise<string> {
  try {
    return (await planExport(store, hash, 'hash_seq')).name
  } catch (error) {
    if (error instanceof UnsafeNameError || error instanceof InvalidCollectionError) return ''
    throw error
  }
}
