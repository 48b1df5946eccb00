/** Receiving: fetching what a ticket names, straight into a file or a folder, without a home. */
import { hashBytes } from '../bao/outboard.ts'
import type { Hash } from '../hash.ts'
import type { FetchProgress } from '../libp2p/index.ts'
import type { WaitOptions } from '../store/index.ts'
import type { ConfigInput } from './config.ts'
import { createNode } from './create-node.ts'
import { checkFree, exportPath } from './export-path.ts'
import { type FetchedNamed, fetchNamed } from './fetch-named.ts'
import { PartFolder } from './part-folder.ts'
import { type Place, pathOf, placeOf, requireFolder } from './place.ts'
import { requireProvider, type WantedPath } from './provider-list.ts'
import { ReceiveInterruptedError } from './receive-interrupted.ts'

export interface ReceiveOptions extends WaitOptions {
  /**
   * What the file or folder is to be called, or, with a slash at its end, the folder it goes into under its own name.
   *
   * @default './'
   */
  readonly output?: string | undefined
  /** Limits of the node that is started for it. */
  readonly limits?: ConfigInput['limits']
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
  /** Called when all is there and is about to be written. */
  readonly onFetched?: ((fetched: FetchedNamed) => void) | undefined
}

/** What is wanted; with a path only that file or folder of the collection. */
export type ReceiveWanted = Omit<WantedPath, 'path'> & Partial<Pick<WantedPath, 'path'>>

export interface Received extends FetchedNamed {
  /** The file or folder, as an absolute path. */
  readonly path: string
}

/**
 * Fetches into a folder beside the target, and renames the whole to the target at the end. What an earlier try has left there
 * is not fetched again.
 *
 * @throws TargetExistsError, as soon as the name of the target is known
 * @throws ReceiveInterruptedError when something has arrived that the next try can go on with; what `fetchNamed` and `exportPath`
 *   throw
 */
export async function receiveTo(wanted: ReceiveWanted, options: ReceiveOptions = {}): Promise<Received> {
  requireProvider(wanted)
  const place = placeOf(options.output)
  if (place.name !== undefined) await checkFree(pathOf(place, place.name))
  await requireFolder(place)
  const part = await PartFolder.open(place.folder, partHash(wanted), options)
  let isWorthKeeping = part.isResumed
  const onProgress = (progress: FetchProgress): void => {
    isWorthKeeping ||= progress.received > 0
    options.onProgress?.(progress)
  }
  try {
    const fetched = await fetchInto(part, wanted, place, { ...options, onProgress })
    options.onFetched?.(fetched)
    const path = pathOf(place, fetched.plan.name)
    await exportPath(part.store, fetched.plan, path, {
      mode: 'move',
      workFolder: part.workFolder,
      signal: options.signal
    })
    await part.remove()
    return { ...fetched, path }
  } catch (error) {
    if (!isWorthKeeping) {
      await part.remove()
      throw error
    }
    await part.leave()
    throw new ReceiveInterruptedError(part.path, error)
  }
}

/** After what the part folder is called: one for each path, since the first to end removes all that is in it. */
function partHash({ hash, path }: ReceiveWanted): Hash {
  return path === undefined ? hash : hashBytes(new TextEncoder().encode(`${hash}/${path}`)).hash
}

async function fetchInto(
  part: PartFolder,
  wanted: ReceiveWanted,
  place: Place,
  { limits, signal, onProgress }: ReceiveOptions
): Promise<FetchedNamed> {
  const node = await createNode({
    store: part.store,
    listen: [],
    ...(limits === undefined ? {} : { limits })
  })
  try {
    return await fetchNamed(node.blobs, part.store, wanted.hash, {
      from: wanted.providers,
      format: wanted.format ?? 'raw',
      path: wanted.path,
      signal,
      onProgress,
      onPlan: plan => checkFree(pathOf(place, plan.name))
    })
  } finally {
    await node.stop()
  }
}
