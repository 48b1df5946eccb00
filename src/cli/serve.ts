/** `blobs serve`: serves what is in the home. */
import type { BlobsNode } from '../node/create-node.ts'
import { localState } from '../node/local.ts'
import { announceServing } from '../node/running.ts'
import type { Context } from './context.ts'
import { openHome } from './open-home.ts'
import { printTicket, startServing, untilStopped } from './serving.ts'

/** Tickets that are printed for people. Scripts get all. */
const MAX_PRINTED = 20

export async function serve(context: Context): Promise<undefined> {
  const { home, output } = context
  await using opened = await openHome(context)
  const node = await startServing(context, opened.config, opened.store)
  try {
    const withdraw = await announceServing(home, node)
    try {
      await printTickets(context, node)
      output.note('\nServing; end it with Ctrl-C.')
      await untilStopped(context)
    } finally {
      await withdraw()
    }
  } finally {
    await node.stop()
  }
}

async function printTickets(context: Context, node: BlobsNode): Promise<void> {
  const { output, signal } = context
  let count = 0
  for await (const { hash, format, name } of node.store.tags.list()) {
    if (signal.aborted) return
    const { size, isComplete } = await localState(node.store, hash, format)
    if (!isComplete) {
      output.note(`the tag "${name}" names something that is not all there; get it again`)
      continue
    }
    count++
    if (!output.isJson && count > MAX_PRINTED) continue
    printTicket(context, node.ticket(hash, format), { hash, format, name, size })
  }
  if (!output.isJson && count > MAX_PRINTED) {
    output.note(`\nand ${count - MAX_PRINTED} more: see "blobs ls --tags" and "blobs ticket NAME"`)
  }
}
