/** `blobs get`: fetches into the home, and writes to files if wanted. */
import type { Hash } from '../hash.ts'
import type { FetchResult } from '../libp2p/index.ts'
import { checkFree, exportPath } from '../node/export-path.ts'
import { type ExportPlan, planExport } from '../node/export-plan.ts'
import { fetchNamed } from '../node/fetch-named.ts'
import { formatOf, localState } from '../node/local.ts'
import { type Place, pathOf, placeOf, requireFolder } from '../node/place.ts'
import { parseWanted, requireProvider, type Wanted } from '../node/provider-list.ts'
import { addTag, tagsOf } from '../node/tags.ts'
import { InvalidCollectionError } from '../protocol/collection.ts'
import { UnsafeNameError } from '../protocol/safe-name.ts'
import type { BlobFormat, BlobStore } from '../store/index.ts'
import { type Cli, type Context, collect, examples, type OpenHome, openHome } from './context.ts'
import { unwrapped } from './format.ts'
import { TransferView } from './transfer.ts'

const DESCRIPTION = `Fetch a blob, or a collection with all its files, into the home's store; with -o write it to a file or folder too.

What is in the store already is not fetched: when all of it is, nobody has to be asked. A hash alone does not say who has it:
name a peer with --peer. -o NAME names the file or folder, -o FOLDER/ (a slash at the end) the folder it goes into under its own
name; nothing is overwritten.`

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

interface GetFlags {
  readonly output?: string
  readonly peer?: readonly string[]
  readonly format?: BlobFormat
}

export function getCommand({ program, run }: Cli): void {
  const command = program.command('get')
  command
    .summary('fetch into the home, and write to files if wanted')
    .description(unwrapped(DESCRIPTION))
    .argument(
      '<hash|ticket>',
      'a ticket, ours or one of iroh; or a hash: 64 hex digits, 52 base32 characters, or a CID'
    )
    .option('--peer <multiaddr>', 'ask this peer first; may be given more than once', collect)
    .option('-o, --output <path>', 'the file or folder to write to')
    .addOption(
      command
        .createOption('--format <format>', 'what a hash names; a ticket says it itself')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs get blobsaeafvo3m…', 'into the store'],
        ['blobs get blobsaeafvo3m… -o photos', 'and to a file or folder'],
        ['blobs get 5abb6c4e… --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…', 'by its hash'],
        ['blobs get 5abb6c4e… -o a.iso', 'write what is in the store']
      )
    )
    .action((what: string, flags: GetFlags, self) => run(self, context => get(context, what, flags)))
}

async function get(context: Context, what: string, flags: GetFlags): Promise<undefined> {
  const { signal } = context
  const wanted = parseWanted(what, flags.peer)
  const place = flags.output === undefined ? undefined : placeOf(flags.output)
  if (place !== undefined) await requireFolder(place)
  if (place?.name !== undefined) await checkFree(pathOf(place, place.name))
  await using opened = await openHome(context)
  const { store } = opened
  const format = wanted.format ?? flags.format ?? (await formatOf(store, wanted.hash, { signal }))
  const view = new TransferView(context.output, 'fetching')
  try {
    const result = await fetchMissing(context, opened, { ...wanted, format }, place, view)
    await tagOnce(store, wanted.hash, format)
    view.done(result, place === undefined ? null : await write(context, store, result, place))
  } finally {
    view.end()
  }
}

/** Asks nobody when all is there. */
async function fetchMissing(
  context: Context,
  { config, store }: OpenHome,
  wanted: Wanted & { readonly format: BlobFormat },
  place: Place | undefined,
  view: TransferView
): Promise<FetchResult> {
  const { home, options, output, signal } = context
  const { hash, format, providers } = wanted
  const local = await localState(store, hash, format, { signal })
  if (local.isComplete) {
    const { size, blobs } = local
    return { hash, format, size, received: 0, had: size, blobs }
  }
  requireProvider(wanted)
  const listen = [...(options.listen ?? [])]
  // Loaded when it is needed: libp2p takes longer to load than most commands to run.
  const { createNode } = await import('../node/create-node.ts')
  const node = await createNode({ ...config, listen, home, store, onWarning: text => output.warn(text) })
  try {
    if (wanted.peerId === node.peerId) throw new OwnTicketError(home)
    const common = { from: providers, format, signal, onProgress: view.update }
    // Names that cannot be files do no harm in a store.
    if (place === undefined) return await node.blobs.fetch(hash, { ...common, askSizes: true })
    const onPlan = ({ name }: ExportPlan): Promise<void> => checkFree(pathOf(place, name))
    return await fetchNamed(node.blobs, store, hash, { ...common, onPlan })
  } finally {
    await node.stop()
  }
}

async function write(
  { signal }: Context,
  store: BlobStore,
  { hash, format }: FetchResult,
  place: Place
): Promise<string> {
  const plan = await planExport(store, hash, format, { signal })
  const path = pathOf(place, plan.name)
  await exportPath(store, plan, path, { signal })
  return path
}

/** What was fetched is meant to be kept: under its own name, if it has one that can be used. */
async function tagOnce(store: BlobStore, hash: Hash, format: BlobFormat): Promise<void> {
  if ((await tagsOf(store, hash)).length > 0) return
  await addTag(store, format === 'raw' ? '' : await ownName(store, hash), { hash, format })
}

async function ownName(store: BlobStore, hash: Hash): Promise<string> {
  try {
    return (await planExport(store, hash, 'hash_seq')).name
  } catch (error) {
    if (error instanceof UnsafeNameError || error instanceof InvalidCollectionError) return ''
    throw error
  }
}
