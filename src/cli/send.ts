/** `blobs send`: shares files and folders, from nothing. */
import { createHome } from '../node/home.ts'
import { createSample } from '../node/sample.ts'
import { addTag } from '../node/tags.ts'
import type { Context } from './context.ts'
import { importShown } from './importing.ts'
import { openHome } from './open-home.ts'
import { printTicket, type Shared, startServing, untilStopped } from './serving.ts'

export async function send(context: Context, paths: readonly string[]): Promise<undefined> {
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
