/** How `blobs push` is called. */
import { loadSparingly } from '../../node/load-sparingly.ts'
import type { BlobFormat } from '../../store/index.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Send a blob of the home's store, or a collection with all its files, to another node, which keeps it.

The other node has to be serving, and has to list this node's peer id in its configuration: authorize, below [push]. What it has
already is not sent; after a push that was cut off, the same command goes on.`

export interface PushFlags {
  readonly format?: BlobFormat
}

export function pushCommand({ program, run }: Cli): void {
  const command = program.command('push')
  command
    .summary('send a blob or a collection to another node')
    .description(unwrapped(DESCRIPTION))
    .argument('<peer>', 'the other node: a multiaddr that ends in /p2p/ and its peer id')
    .argument('<hash|tag>', 'a hash, a ticket, or the name of a tag')
    .addOption(
      command
        .createOption('--format <format>', 'what a hash names; a tag and a ticket say it themselves')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs push /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo… photos', 'what was added as "photos"'],
        ['blobs push /dns4/example.org/tcp/4001/p2p/12D3Koo… 5abb6c4e…', 'by its hash'],
        [
          'blobs push --json /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo… photos',
          'events for scripts: progress, done'
        ]
      )
    )
    .action((peer: string, what: string, flags: PushFlags, self) =>
      run(self, async context =>
        (await loadSparingly(() => import('../push.ts'))).push(context, peer, what, flags)
      )
    )
}
