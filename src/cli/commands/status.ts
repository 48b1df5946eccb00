/** How `blobs status` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Tell what the home's store holds of a blob: its size, which of its bytes are there, and its tags; of a collection
also how many of its files are complete, partial and absent.

With --peer: what that peer says it holds now. It is asked once, and nothing is fetched.`

export interface StatusFlags {
  readonly peer?: string
}

export function statusCommand({ program, run }: Cli): void {
  program
    .command('status')
    .summary('tell what is held of a blob')
    .description(unwrapped(DESCRIPTION))
    .argument('<hash...>', 'hashes or tickets')
    .option('--peer <multiaddr>', 'what this peer holds, not the home')
    .addHelpText(
      'after',
      examples(
        ['blobs status 5abb6c4e…', 'size, ranges of bytes that are held, tags'],
        ['blobs status 5abb6c4e… --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…', 'at another node'],
        ['blobs status --json 5abb6c4e…', 'events for scripts: status']
      )
    )
    .action((hashes: string[], flags: StatusFlags, command) =>
      run(command, async context => (await import('../status.ts')).status(context, hashes, flags))
    )
}
