/** How `blobs ticket` is called. */
import type { BlobFormat } from '../../store/index.ts'
import { type Cli, collect, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Make a ticket for what is in the home's store, named by its tag or its hash; or tell what is in a ticket.

The addresses in it are those of the node that is serving the home, unless --addr gives others.`

export interface TicketFlags {
  readonly addr?: readonly string[]
  readonly format?: BlobFormat
}

export function ticketCommand({ program, run }: Cli): void {
  const command = program.command('ticket')
  command
    .summary('make a ticket, or tell what is in one')
    .description(unwrapped(DESCRIPTION))
    .argument('<tag|hash|ticket>', 'the name of a tag, a hash, or a ticket to look into')
    .option('--addr <multiaddr>', 'an address to put in; may be given more than once', collect)
    .addOption(
      command
        .createOption('--format <format>', 'what a hash names; a tag says it itself')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs ticket photos', 'for what was added as "photos"'],
        ['blobs ticket photos --addr /ip4/192.0.2.1/tcp/4001', 'for an address that is not yet served at'],
        ['blobs ticket blobsaeafvo3m…', 'tell what is in it']
      )
    )
    .action((what: string, flags: TicketFlags, self) =>
      run(self, async context => (await import('../ticket.ts')).ticket(context, what, flags))
    )
}
