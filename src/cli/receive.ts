/** `blobs receive`: fetches what a ticket names into a file or folder, from nothing. */
import { parseWantedPath } from '../node/provider-list.ts'
import type { ReceiveFlags } from './commands/receive.ts'
import type { Context } from './context.ts'
import { TransferView } from './transfer.ts'

export async function receive(context: Context, ticket: string, flags: ReceiveFlags): Promise<undefined> {
  const { output, signal } = context
  const wanted = parseWantedPath(ticket, flags.peer)
  // Loaded when it is needed: libp2p takes longer to load than most commands to run.
  const { receiveTo } = await import('../node/receive.ts')
  const view = new TransferView(output, 'receiving')
  try {
    const received = await receiveTo(wanted, { output: flags.output, signal, onProgress: view.update })
    view.done(received, received.path)
  } finally {
    view.end()
  }
}
