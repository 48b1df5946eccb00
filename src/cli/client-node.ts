/** A node for one command: it dials, and nobody can dial it unless the command line says where to listen. */
import type { BlobsNode } from '../node/create-node.ts'
import type { Context } from './context.ts'
import type { OpenHome } from './open-home.ts'

/** Has the home's identity and store, and ends with the block it is made in. */
export interface ClientNode extends AsyncDisposable {
  readonly node: BlobsNode
}

export async function startClient(context: Context, { config, store }: OpenHome): Promise<ClientNode> {
  const { home, options, output } = context
  const listen = [...(options.listen ?? [])]
  // Loaded when it is needed: libp2p takes longer to load than most commands to run.
  const { createNode } = await import('../node/create-node.ts')
  const node = await createNode({ ...config, listen, home, store, onWarning: text => output.warn(text) })
  return { node, [Symbol.asyncDispose]: () => node.stop() }
}
