/** `blobs send`: shares files and folders, from nothing. */

import { createHome } from '../node/home.ts'
import { importPath } from '../node/import-path.ts'
import { openStore } from '../node/open-store.ts'
import { createSample } from '../node/sample.ts'
import { addTag } from '../node/tags.ts'
import type { BlobStore } from '../store/index.ts'
import { type Cli, type Context, examples, readConfig } from './context.ts'
import { plural, unwrapped } from './format.ts'
import { ProgressView } from './progress.ts'
import { printTicket, type Shared, startServing, untilStopped } from './serving.ts'

const DESCRIPTION = `Share files and folders: prints a ticket for each, and serves until Ctrl-C.

Each PATH becomes a collection, so that names go with the content; a folder's own name too. In a folder hidden files count,
symbolic links and empty folders do not. The content is copied into the home's store, which is made when there is none, and
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
  const config = await readConfig(context)
  await using store = await openStore(config, home)
  const shared: Shared[] = []
  for (const path of paths.length > 0 ? paths : [await createSample(home)]) {
    shared.push(await addCollection(context, store, path))
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

async function addCollection({ output, signal }: Context, store: BlobStore, path: string): Promise<Shared> {
  const view = new ProgressView(output, 'adding')
  try {
    const imported = await importPath(store, path, {
      isCollection: true,
      signal,
      onSkip: (skipped, reason) => output.note(`skipped ${skipped}: ${reason}`),
      onProgress: progress => view.update(progress)
    })
    view.end()
    await addTag(store, imported.name, imported)
    output.detail(`added ${path}: ${plural(imported.files, 'file')}`)
    return imported
  } finally {
    view.end()
  }
}
