/** `blobs init`: makes a home. */
import { join, resolve } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createHome } from '../node/home.ts'
import { loadOrCreateIdentity } from '../node/identity.ts'
import { CONFIG_FILE } from '../node/load-config.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { unwrapped } from './format.ts'

const DESCRIPTION = `Make a home: a folder with a node's identity, its configuration and its blobs.

A home that is there already is left as it is. The private key and the configuration can be read by their owner only.`

export function initCommand({ program, run }: Cli): void {
  program
    .command('init')
    .summary('make a home')
    .description(unwrapped(DESCRIPTION))
    .addHelpText(
      'after',
      examples(['blobs init', 'in ~/.blobs'], ['blobs init --home ./node-b', 'somewhere else'])
    )
    .action((_, command) => run(command, init))
}

async function init(context: Context): Promise<undefined> {
  const { home, output } = context
  const isNew = await createHome(home)
  await using opened = await openHome(context)
  const { identity } = opened.config
  const key = await loadOrCreateIdentity(resolve(home, identity), { onWarning: text => output.warn(text) })
  const peerId = peerIdFromPrivateKey(key).toString()
  output.note(isNew ? `made a home at ${home}` : `there is a home at ${home} already; it stays as it is`)
  output.note(`configuration in ${join(home, CONFIG_FILE)}`)
  output.result({ event: 'home', home, peerId, isNew }, `peer id ${peerId}`)
}
