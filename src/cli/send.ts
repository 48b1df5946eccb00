/** `blobs send`: shares files and folders, from nothing. */

import { createHome } from '../node/home.ts'
import { createSample } from '../node/sample.ts'
import { addTag } from '../node/tags.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { unwrapped } from './format.ts'
import { importShown } from './importing.ts'
import { printTicket, type Shared, startServing, untilStopped } from './serving.ts'

const DESCRIPTION = `Share files and folders: prints a ticket for each, and serves until Ctrl-C.

Each PATH becomes a collection, so that names go with the content; a folder's own name too. In a folder hidden files count,
symbolic links and empty folders do not, and permissions and times are not kept. The content is copied into the home's store, which is made when there is none, and
stays there: see "blobs ls" and "blobs rm". Without PATH a small sample is shared.`

export function sendCommand({ program, run }: Cli): void {
  program
    .command('send')
    .summary('share files and folders, and print a ticket for each')
    .description(unwrapped(DESCRIPTION))
    .argument('[path...]', 'files and folders')
    .addHelpText(
      'after',
      examples(
        ['blobs send ./photos', 'share a folder'],
        ['blobs send a.iso b.iso', 'share two files, with a ticket each'],
        ['blobs send --listen /ip4/0.0.0.0/tcp/4001 a.iso', 'listen at a fixed port'],
        ['blobs send --json a.iso', 'events for scripts: listening, ticket']
      )
    )
    .action((paths: string[], _, command) => run(command, context => send(context, paths)))
}

async function send(context: Context, paths: readonly string[]): Promise<undefined> {
  const { home, output } = context
  if (await createHome(home)) output.note(`made a home at ${home}`)
  await using opened = await openHome(context)
  const { config, store } = opened
  const shared: Shared[] = []
  for (const path of paths.length > 0 ? paths : [await createSample(home)]) {
    // Until the tag is there.
    await using lease = await store.lease()
    const imported = await importShown(context, store, path, { isCollection: true, lease })
    await addTag(store, imported.name, imported)
    shared.push(imported)
  }
  const node = await startServing(context, config, store)
  try {
    for (const thing of shared) printTicket(context, node.ticket(thing.hash, thing.format), thing)
    output.note('\nServing; end it with Ctrl-C.')
    await untilStopped(context)
  } finally {
    await node.stop()
  }
}
