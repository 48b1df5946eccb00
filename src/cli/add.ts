/** `blobs add`: puts files and folders into the home. */
import { findServing } from '../node/running.ts'
import { addTag } from '../node/tags.ts'
import { ticketOf } from '../node/ticket-of.ts'
import type { AddFlags } from './commands/add.ts'
import type { Context } from './context.ts'
import { formatBytes, quoted } from './format.ts'
import { importShown } from './importing.ts'
import { openHome } from './open-home.ts'
import { printTicket } from './serving.ts'

export async function add(context: Context, paths: readonly string[], flags: AddFlags): Promise<undefined> {
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
