/** `blobs add`: puts files and folders into the home. */
import { findServing } from '../node/running.ts'
import { addTag } from '../node/tags.ts'
import { ticketOf } from '../node/ticket-of.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { formatBytes, quoted, unwrapped } from './format.ts'
import { importShown } from './importing.ts'
import { printTicket } from './serving.ts'

const DESCRIPTION = `Put files and folders into the home's store.

A file becomes one blob, which does not know the file's name; with --collection it becomes a collection of one, as "send" makes
it. A folder becomes a collection. In a folder hidden files count, symbolic links and empty folders do not, and permissions and times are not kept. Each gets a tag, called
as the file or folder, so that it is meant to be kept. When the home is being served, a ticket is printed too.`

interface AddFlags {
  readonly collection?: boolean
  readonly tag?: string
}

export function addCommand({ program, run }: Cli): void {
  program
    .command('add')
    .summary("put files and folders into the home's store")
    .description(unwrapped(DESCRIPTION))
    .argument('<path...>', 'files and folders')
    .option('--collection', 'let the name of a file go with it')
    .option('--tag <name>', 'what to call the tag')
    .addHelpText(
      'after',
      examples(
        ['blobs add a.iso', 'one blob'],
        ['blobs add ./photos ./music', 'two collections'],
        ['blobs add --tag backup-2026 ./backup', 'under another name'],
        ['blobs add --json a.iso', 'events for scripts: added, ticket']
      )
    )
    .action((paths: string[], flags: AddFlags, command) =>
      run(command, context => add(context, paths, flags))
    )
}

async function add(context: Context, paths: readonly string[], flags: AddFlags): Promise<undefined> {
  const { home, output } = context
  await using opened = await openHome(context)
  const { store } = opened
  const serving = await findServing(home)
  for (const path of paths) {
    // Until the tag is there.
    await using lease = await store.lease()
    const imported = await importShown(context, store, path, {
      isCollection: flags.collection ?? false,
      lease
    })
    const { hash, format, size, name } = imported
    const tag = await addTag(store, flags.tag ?? name, imported)
    output.result(
      { event: 'added', hash, format, size, name, tag },
      `${hash}  ${formatBytes(size)}  ${quoted(tag)}`
    )
    if (serving !== undefined) {
      printTicket(context, ticketOf(hash, format, serving.peerId, serving.addrs), imported)
    }
  }
}
