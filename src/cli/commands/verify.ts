/** How `blobs verify` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Read blobs in the home's store through, and tell which are damaged. Without a hash all are read.

Each is checked twice: against the tree of hashes it is served with, and as a whole by another implementation of BLAKE3.
What is wrong of a blob is no longer counted as held, in groups of 16 KiB: it is partial then, and "blobs get" fetches what is
wrong and no more. A blob of which nothing can be proven is set aside; adding or getting it again brings it back. --remove
removes all of a damaged blob. Without a hash it is also told which blobs that a tag names are missing, or
not all there.

The exit code is 7 when anything is damaged, and 1 when something is missing or not all there.`

export interface VerifyFlags {
  readonly all?: boolean
  readonly remove?: boolean
}

export function verifyCommand({ program, run }: Cli): void {
  program
    .command('verify')
    .summary('look for damaged blobs')
    .description(unwrapped(DESCRIPTION))
    .argument('[hash...]', 'hashes or tickets')
    .option('--all', 'all blobs, which is what happens without a hash')
    .option('--remove', 'remove what is damaged')
    .addHelpText(
      'after',
      examples(
        ['blobs verify', 'all blobs; so does "blobs verify --all"'],
        ['blobs verify 5abb6c4e…', 'one blob'],
        ['blobs verify --remove', 'and remove what is damaged'],
        ['blobs verify --json', 'events for scripts: verified (one per blob), summary']
      )
    )
    .action((texts: string[], flags: VerifyFlags, command) =>
      run(command, async context => (await import('../verify.ts')).verify(context, texts, flags))
    )
}
